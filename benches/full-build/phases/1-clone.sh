git clone --quiet --depth 1 "file://$REPOSITORY" source
