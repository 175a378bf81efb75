# The function that edits the artifact: tests/tools/original.py, with as much memory as Lambda gives.
cp "$TOOL/../../../tests/tools/original.py" .
zip -qj original.zip original.py
aws lambda create-function --function-name original --runtime python3.11 --handler original.handler \
  --role arn:aws:iam::000000000000:role/app --timeout 900 --memory-size 10240 --zip-file fileb://original.zip --query State
aws lambda wait function-active-v2 --function-name original
(cd project && zip -qr ../fn.zip .)
aws s3 cp --quiet fn.zip "s3://$BUCKET/$KEY"
for function in $FUNCTIONS; do
  aws lambda update-function-code --function-name "$function" --s3-bucket "$BUCKET" --s3-key "$KEY" --query RevisionId
done
