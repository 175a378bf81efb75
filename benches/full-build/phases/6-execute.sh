aws cloudformation execute-change-set --stack-name "$STACK" --change-set-name "$RUN"
case $TYPE in
  CREATE) aws cloudformation wait stack-create-complete --stack-name "$STACK" ;;
  *) aws cloudformation wait stack-update-complete --stack-name "$STACK" ;;
esac
