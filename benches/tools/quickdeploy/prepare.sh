cat > project/quickdeploy.toml <<EOF
artifact = "s3://$BUCKET/$KEY"
functions = ["$PREFIX-a", "$PREFIX-b", "$PREFIX-c", "$PREFIX-d"]
EOF
cd project
quickdeploy full --quiet
