cp "$TOOL/template.yaml" .
sam build
sam deploy --stack-name "$PREFIX" --s3-bucket "$BUCKET" --capabilities CAPABILITY_IAM --no-confirm-changeset \
  --parameter-overrides "Prefix=$PREFIX"
