cp "$TOOL/serverless.yml" project
cd project
osls deploy
