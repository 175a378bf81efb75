export NODE_PATH="$PEERS/node/node_modules" PROJECT="$PWD/project"
exec cdk deploy --hotswap --app "node '$TOOL/app.js'" --require-approval never --ci
