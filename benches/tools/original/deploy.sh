exec "$PEERS/python/bin/python" "$TOOL/deploy.py"
