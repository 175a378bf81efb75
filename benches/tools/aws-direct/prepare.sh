(cd project && zip -qr ../fn.zip .)
for function in $FUNCTIONS; do
  aws lambda update-function-code --function-name "$function" --zip-file fileb://fn.zip --query RevisionId
done
