aws cloudformation create-change-set --stack-name "$STACK" --change-set-name "$RUN" --change-set-type "$TYPE" \
  --template-body "file://$HERE/template.yaml" --parameters "ParameterKey=Key,ParameterValue=$RUN.zip" "ParameterKey=Bucket,ParameterValue=$BUCKET"
aws cloudformation wait change-set-create-complete --stack-name "$STACK" --change-set-name "$RUN"
