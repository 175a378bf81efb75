(cd project && zip -qr ../fn.zip .)
aws s3 cp --quiet fn.zip "s3://$BUCKET/$KEY"
for function in $FUNCTIONS; do
  aws lambda update-function-code --function-name "$function" --s3-bucket "$BUCKET" --s3-key "$KEY" --query RevisionId
done
