aws s3 cp --quiet artifact.zip "s3://$BUCKET/$RUN.zip"
