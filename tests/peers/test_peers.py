"""What holds the peers: the leash lets none outlive its holder, and the installer knows what it can't install.

    python3 -m unittest discover -s tests/peers
"""

import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import unittest
from unittest import mock

import install

HERE = pathlib.Path(__file__).resolve().parent
#: Starts a process of its own, as MiniStack does for functions, says both ids and sleeps; deaf to SIGTERM if told so.
SERVER = """
import os, signal, subprocess, sys, time
if sys.argv[1:] == ["deaf"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
child = subprocess.Popen(["sleep", "300"])
print(os.getpid(), child.pid, flush=True)
time.sleep(300)
"""


def runs(pid: int) -> bool:
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


class Leash(unittest.TestCase):
    def start(self, *arguments):
        command = [sys.executable, HERE / "leash.py", sys.executable, "-c", SERVER, *arguments]
        leash = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(leash.stdout.close)
        self.addCleanup(leash.kill)
        return leash, [int(pid) for pid in leash.stdout.readline().split()]

    def assert_all_end(self, leash, pids):
        leash.wait(60)
        end = time.monotonic() + 30
        while any(map(runs, pids)):
            self.assertLess(time.monotonic(), end, f"{pids} have not ended")
            time.sleep(0.02)

    def test_server_and_children_run_until_the_pipe_is_closed(self):
        leash, pids = self.start()
        self.assertTrue(all(map(runs, pids)))
        leash.stdin.close()
        self.assert_all_end(leash, pids)

    def test_a_server_that_does_not_listen_is_made_to_end(self):
        leash, pids = self.start("deaf")
        leash.stdin.close()
        self.assert_all_end(leash, pids)

    def test_the_end_of_the_server_ends_its_children_and_the_leash(self):
        leash, pids = self.start()
        os.kill(pids[0], signal.SIGKILL)
        self.assert_all_end(leash, pids)
        leash.stdin.close()


class Installer(unittest.TestCase):
    def test_without_its_python_a_peer_is_left_out_and_that_is_said(self):
        with tempfile.TemporaryDirectory() as into, mock.patch.object(install, "python_for", return_value=None):
            with self.assertRaisesRegex(install.NoPython, r"Python 3\.13, which is neither"):
                install.install("localstack", pathlib.Path(into))
            self.assertEqual(os.listdir(into), [])

    def test_what_is_there_with_the_same_pins_stays(self):
        with tempfile.TemporaryDirectory() as into, mock.patch.object(install, "run") as run:
            home = pathlib.Path(into, "moto")
            home.mkdir()
            (home / install.INSTALLED).write_text((HERE / "moto.txt").read_text())
            install.install("moto", pathlib.Path(into))
            run.assert_not_called()
            (home / install.INSTALLED).write_text("moto==1.0.0\n")
            install.install("moto", pathlib.Path(into))
            self.assertEqual(run.call_count, 2)
            self.assertEqual((home / install.INSTALLED).read_text(), (HERE / "moto.txt").read_text())

    def test_an_executable_that_does_not_run_is_no_python(self):
        self.assertIsNone(install.version_of("/bin/false"))
        self.assertIsNone(install.version_of("/no/such/python"))
        self.assertEqual(install.version_of(sys.executable), sys.version_info[:2])


if __name__ == "__main__":
    unittest.main()
