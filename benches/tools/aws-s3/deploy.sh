# Deleted files go out of the zip only with -FS, which reads it anew.
cd project
if [ -n "$DELETED" ]; then zip -qrFS ../fn.zip .; else zip -qur ../fn.zip . || [ $? -eq 12 ]; fi
aws s3 cp --quiet ../fn.zip "s3://$BUCKET/$KEY"
updates=()
for function in $FUNCTIONS; do
  aws lambda update-function-code --function-name "$function" --s3-bucket "$BUCKET" --s3-key "$KEY" --query RevisionId >../"$function.out" &
  updates+=($!)
done
for update in "${updates[@]}"; do wait "$update"; done
