# Dependencies are in layers, which it leaves alone as long as package.json is the same.
echo Y | sam sync --code --dependency-layer --stack-name "$PREFIX" --parameter-overrides "Prefix=$PREFIX"
