cp "$TOOL/../sam/template.yaml" .
echo Y | sam sync --no-watch --dependency-layer --stack-name "$PREFIX" --s3-bucket "$BUCKET" \
  --capabilities CAPABILITY_IAM CAPABILITY_AUTO_EXPAND --parameter-overrides "Prefix=$PREFIX"
