export NODE_PATH="$PEERS/node/node_modules" PROJECT="$PWD/project"
cdk deploy --app "node '$TOOL/app.js'" --require-approval never --ci
