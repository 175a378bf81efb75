cd source
zip -qr ../artifact.zip . -x '.git/*'
