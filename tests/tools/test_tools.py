"""Tests of the tools themselves: a reader that never complains would prove nothing.

`python3 -m unittest discover -s tests/tools`. Readers whose program or packages are not installed are skipped, unless CI is set.
"""

import io
import json
import os
import shutil
import subprocess
import tempfile
import unittest
import zipfile
from pathlib import Path

import original

HERE = Path(__file__).resolve().parent
READERS = HERE / "readers"


def archive(*entries, comment=b""):
    """A zip of (name, content, mode, method) in memory."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as target:
        target.comment = comment
        for name, content, mode, method in entries:
            info = zipfile.ZipInfo(name)
            info.create_system = 3
            info.external_attr = mode << 16
            info.compress_type = method
            target.writestr(info, content)
    return out.getvalue()


STORED, DEFLATED = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED
GOOD = archive(
    ("a.js", b"stored content", 0o100644, STORED),
    ("dir/b.sh", b"deflated " * 100, 0o100755, DEFLATED),
    ("empty", b"", 0o100600, STORED),
    ('\u00fc "\u65e5\u672c" \U0001f600', b"a name in UTF-8", 0o100644, DEFLATED),
    ("\uffee", b"which Java sorts after the one before", 0o100644, STORED),
    comment=b"comment",
)


class Readers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = Path(folder.name)
        cls.commands = {
            "python": ["python3", READERS / "read.py"],
            "java": ["java", READERS / "Read.java"],
            "node": ["node", cls.folder / "node" / "read.mjs"],
            "info-zip": [READERS / "info-zip.sh"],
        }
        needs = {"python": ["python3"], "java": ["java"], "node": ["node", "npm"], "info-zip": ["unzip", "zipinfo"]}
        for name, programs in needs.items():
            if "CI" not in os.environ and not all(map(shutil.which, programs)):
                del cls.commands[name]
        if "node" in cls.commands:
            shutil.copytree(READERS, cls.folder / "node", ignore=shutil.ignore_patterns("node_modules"))
            npm = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
            subprocess.run(npm, cwd=cls.folder / "node", check=True, capture_output=True)

    def read(self, reader, data, *options):
        path = self.folder / "archive.zip"
        path.write_bytes(data)
        return subprocess.run([*self.commands[reader], *options, path], capture_output=True, encoding="utf-8")

    def test_all_print_the_same_of_a_good_archive(self):
        told = {}
        for reader in self.commands:
            result = self.read(reader, GOOD)
            self.assertEqual((result.returncode, result.stderr), (0, ""), reader)
            if reader != "info-zip":
                told[reader] = [json.loads(line) for line in result.stdout.splitlines()]
        by_name = {line["name"]: line for line in told["python"]}
        self.assertEqual(by_name["dir/b.sh"]["mode"], "0755")
        self.assertEqual(by_name["a.js"]["method"], STORED)
        self.assertEqual(by_name["a.js"]["size"], 14)
        self.assertEqual(len(by_name), 5)
        if "node" in told:
            self.assertEqual(told["node"], told["python"])
        if "java" in told:
            without_mode = [{key: line[key] for key in line if key != "mode"} for line in told["python"]]
            self.assertEqual(told["java"], without_mode)

    def test_all_complain_about_a_damaged_archive(self):
        central = GOOD.index(b"PK\x01\x02")
        wrong_crc = bytearray(GOOD)
        wrong_crc[central + 16] ^= 1
        with self.assertWarns(UserWarning):
            twice = archive(("a", b"1", 0o100644, STORED), ("a", b"2", 0o100644, STORED))
        for what, data, readers in [
            ("a changed byte of a content", GOOD.replace(b"stored content", b"stored c0ntent"), self.commands),
            # Info-ZIP goes by the local header's checksum, and accepts equal names.
            ("another checksum in the directory", bytes(wrong_crc), self.commands.keys() - {"info-zip"}),
            ("cut off", GOOD[:-30], self.commands),
            ("no zip", b"no zip at all", self.commands),
            ("a name twice", twice, self.commands.keys() - {"info-zip"}),
        ]:
            for reader in readers:
                result = self.read(reader, data)
                self.assertNotEqual(result.returncode, 0, f"{reader}: {what}")
                self.assertIn("archive.zip: ", result.stderr, f"{reader}: {what}")

    def test_java_reads_by_the_directory_alone_if_asked(self):
        if "java" not in self.commands:
            self.skipTest("no java")
        out = io.BytesIO(b"#!/bin/sh\n")
        out.seek(0, io.SEEK_END)
        with zipfile.ZipFile(out, "a") as target:
            target.writestr("a", "after a prefix")
        self.assertNotEqual(self.read("java", out.getvalue()).returncode, 0)
        self.assertEqual(self.read("java", out.getvalue(), "--no-stream").returncode, 0)


class Original(unittest.TestCase):
    def rewrite(self, data, changes):
        out = io.BytesIO()
        answer = original.rewrite(io.BytesIO(data), out, changes)
        return answer, zipfile.ZipFile(out)

    def test_a_changed_entry_keeps_its_place_and_attributes(self):
        answer, new = self.rewrite(GOOD, {"dir/b.sh": "new"})
        self.assertEqual(answer, {"added": 0, "modified": 1})
        self.assertEqual(new.namelist(), zipfile.ZipFile(io.BytesIO(GOOD)).namelist())
        info = new.getinfo("dir/b.sh")
        self.assertEqual((info.external_attr >> 16, info.compress_type), (0o100755, DEFLATED))
        self.assertEqual(new.read("dir/b.sh"), b"new")
        self.assertEqual(new.read("a.js"), b"stored content")
        self.assertEqual(new.comment, b"comment")

    def test_a_new_entry_is_executable_and_at_the_end(self):
        answer, new = self.rewrite(GOOD, {"new.js": "\u00fc", "a.js": "again"})
        self.assertEqual(answer, {"added": 1, "modified": 1})
        info = new.infolist()[-1]
        self.assertEqual(info.filename, "new.js")
        self.assertEqual((info.external_attr >> 16, info.create_system, info.compress_type), (0o100755, 3, DEFLATED))
        self.assertEqual(info.date_time, (1980, 1, 1, 0, 0, 0))
        self.assertEqual(new.read("new.js"), "\u00fc".encode())

    def test_the_object_is_replaced(self):
        class Client:
            def get_object(self, Bucket, Key):
                self.source = (Bucket, Key)
                return {"Body": io.BytesIO(GOOD)}

            def put_object(self, Bucket, Key, Body):
                self.target, self.body = (Bucket, Key), Body

        for src in ("s3://bucket/a/b.zip", "bucket/a/b.zip"):
            client = Client()
            answer = original.edit_object({"src": src, "changes": {"n": "1"}}, client)
            self.assertEqual(answer, {"added": 1, "modified": 0})
            self.assertEqual((client.source, client.target), (("bucket", "a/b.zip"),) * 2)
            self.assertEqual(zipfile.ZipFile(io.BytesIO(client.body)).read("n"), b"1")

    def test_a_file_is_edited_in_place_and_left_alone_if_that_fails(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "artifact.zip"
            path.write_bytes(GOOD)
            path.chmod(0o640)
            self.assertEqual(original.edit_file(path, {"n": "1"}), {"added": 1, "modified": 0})
            self.assertEqual(path.stat().st_mode & 0o777, 0o640)
            edited = path.read_bytes()
            with self.assertRaises(UnicodeEncodeError):
                original.edit_file(path, {"n": "\ud800"})
            self.assertEqual(path.read_bytes(), edited)
            self.assertEqual([entry.name for entry in Path(folder).iterdir()], ["artifact.zip"])


if __name__ == "__main__":
    unittest.main()
