#!/usr/bin/env python3
"""Reads every entry of a zip with CPython's `zipfile` and prints a JSON line per entry; see ../README.md.

`read.py ARCHIVE.zip`. Exit code 0 if nothing is wrong, 1 otherwise, with the complaint on stderr.
"""

import hashlib
import json
import sys
import warnings
import zipfile
import zlib


def read(path):
    """The canonical lines, in the order of the names. Raises whatever `zipfile` complains with."""
    lines = []
    with zipfile.ZipFile(path) as archive:
        bad = archive.testzip()
        if bad is not None:
            raise zipfile.BadZipFile(f"checksum of {bad!r} is wrong")
        names = archive.namelist()
        if len(names) != len(set(names)):
            raise zipfile.BadZipFile("a name occurs twice")
        for info in archive.infolist():
            content = archive.read(info)
            if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
                raise zipfile.BadZipFile(f"size or checksum of {info.filename!r} is wrong")
            unix = info.create_system == 3
            lines.append(
                {
                    "name": info.filename,
                    "size": info.file_size,
                    "crc32": f"{info.CRC:08x}",
                    "sha256": hashlib.sha256(content).hexdigest(),
                    "mode": f"{info.external_attr >> 16 & 0o7777:04o}" if unix else None,
                    "method": info.compress_type,
                }
            )
    return sorted(lines, key=lambda line: line["name"].encode())


def main():
    warnings.simplefilter("error")
    try:
        lines = read(sys.argv[1])
    except IndexError:
        sys.exit("usage: read.py ARCHIVE.zip")
    except (OSError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error, EOFError, Warning) as error:
        sys.exit(f"{sys.argv[1]}: {error or type(error).__name__}")
    for line in lines:
        print(json.dumps(line, ensure_ascii=False, separators=(",", ":")))


if __name__ == "__main__":
    main()
