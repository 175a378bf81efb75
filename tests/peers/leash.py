#!/usr/bin/env python3
"""Runs a server for as long as standard input is open: `leash.py COMMAND...`

Whoever started it holds the other end of the pipe. When that is closed, by intent or because its holder was killed, the
server and all that it started (MiniStack's functions are processes) are asked to end, and made to after a moment.
"""

import os
import signal
import subprocess
import sys
import threading

PATIENCE = 5.0  # seconds

server = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, start_new_session=True)


def tell(number):
    try:
        os.killpg(server.pid, number)
    except ProcessLookupError:
        pass


def wait_for_the_end():
    """Until somebody lets go, or the server ends by itself."""
    ended = threading.Event()

    def let_go():
        while os.read(0, 1024):
            pass
        ended.set()

    threading.Thread(target=lambda: (server.wait(), ended.set()), daemon=True).start()
    threading.Thread(target=let_go, daemon=True).start()
    ended.wait()


# A Ctrl-C reaches the whole group in the terminal: the holder ends, and so the pipe does.
signal.signal(signal.SIGINT, signal.SIG_IGN)
wait_for_the_end()
code = server.poll()
tell(signal.SIGTERM)
try:
    server.wait(PATIENCE)
except subprocess.TimeoutExpired:
    pass
tell(signal.SIGKILL)
sys.exit(code if code is not None and code >= 0 else 0)
