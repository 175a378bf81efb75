# Deleted files go out of the zip only with -FS, which reads it anew.
cd project
if [ -n "$DELETED" ]; then zip -qrFS ../fn.zip .; else zip -qur ../fn.zip . || [ $? -eq 12 ]; fi
updates=()
for function in $FUNCTIONS; do
  aws lambda update-function-code --function-name "$function" --zip-file fileb://../fn.zip --query RevisionId >../"$function.out" &
  updates+=($!)
done
for update in "${updates[@]}"; do wait "$update"; done
