# Dependencies are in layers, which it leaves alone as long as package.json is the same. The bucket: as in ../sam.
echo Y | sam sync --code --dependency-layer --stack-name "$PREFIX" --s3-bucket "$BUCKET" \
  --parameter-overrides "Prefix=$PREFIX"
