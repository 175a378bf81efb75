cd project
exec quickdeploy --quiet
