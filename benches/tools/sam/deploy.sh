echo Y | sam sync --code --stack-name "$PREFIX" --no-dependency-layer --parameter-overrides "Prefix=$PREFIX"
