# Without a bucket it makes one first, once for each account: half a minute.
echo Y | sam sync --code --stack-name "$PREFIX" --s3-bucket "$BUCKET" --no-dependency-layer \
  --parameter-overrides "Prefix=$PREFIX"
