# Packages come from npm's cache, as they do in a pipeline that keeps one.
cd source
npm ci --omit=dev --no-audit --no-fund --prefer-offline
