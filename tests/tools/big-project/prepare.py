#!/usr/bin/env python3
"""Installs the big project and its larger twin; prints where they are.

    prepare.py CACHE_DIR        ->  {"normal": "CACHE_DIR/...", "large": "CACHE_DIR/..."}

`normal` is the project with its real dependencies, from the npm registry, as `npm ci` installs them: a zip of about
80 MB. `large` has the same files under the same names, but the packages that only PDFs need (`FILLED`) hold filler, and
one file of them so much that the zip is about 240 MB: an artifact of another size with a central directory of the same
length. Filler is a hash's output, so it doesn't compress and is the same every time. Both stay below Lambda's limit of
262,144,000 bytes unzipped, and in both the handler works, as HTML doesn't need what was filled.

What was made before is found again under the materials' hash. Needs npm; Python 3 with nothing but its library.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

HERE = Path(__file__).resolve().parent
SOURCES = ["handler.js", "util.js", "package.json", "package-lock.json"]

FILLED = ["@sparticuz", "puppeteer-core", "chromium-bidi", "devtools-protocol", "zod"]
ENLARGED = "node_modules/@sparticuz/chromium/bin/chromium.br"
LARGE_ZIP = 240_000_000
UNZIPPED_LIMIT = 262_144_000

# Per entry: a local header, a central record, and the name in both.
LOCAL_HEADER, CENTRAL_RECORD = 30, 46


def materials_hash():
    """Changes whenever one of the files does that decide what is made."""
    digest = hashlib.sha256()
    for name in [*SOURCES, ".npmrc", Path(__file__).name]:
        digest.update((HERE / name).read_bytes())
    return digest.hexdigest()[:16]


def filler(name, size):
    """Incompressible bytes that depend on the name alone."""
    return hashlib.shake_256(name.encode()).digest(size)


def files_of(project):
    """Names relative to the project, sorted."""
    return sorted(path.relative_to(project).as_posix() for path in project.rglob("*") if path.is_file())


def install(project):
    """The project as `npm ci` makes it; no package's own code runs."""
    project.mkdir()
    for name in [*SOURCES, ".npmrc"]:
        shutil.copyfile(HERE / name, project / name)
    # npm's progress goes to stderr: stdout is for the answer.
    npm = ["npm", "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
    subprocess.run(npm, cwd=project, check=True, stdout=sys.stderr, stdin=subprocess.DEVNULL)
    (project / ".npmrc").unlink()


def enlarge(normal, large):
    """The twin of `normal` with the same names and another size."""
    zipped = unzipped = 0
    for name in files_of(normal):
        content = (normal / name).read_bytes()
        zipped += LOCAL_HEADER + CENTRAL_RECORD + 2 * len(name.encode())
        target = large / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if name == ENLARGED:
            continue
        if any(name.startswith(f"node_modules/{package}/") for package in FILLED):
            content = filler(name, len(content))
            zipped += len(content)
        else:
            zipped += min(len(content), len(zlib.compress(content)))
        unzipped += len(content)
        target.write_bytes(content)
        shutil.copymode(normal / name, target)
    rest = LARGE_ZIP - zipped
    if unzipped + rest >= UNZIPPED_LIMIT:
        sys.exit(f"the larger twin would have {unzipped + rest} bytes unzipped; Lambda's limit is {UNZIPPED_LIMIT}")
    (large / ENLARGED).write_bytes(filler(ENLARGED, rest))


def prepare(cache):
    """Both projects, made if they aren't there yet."""
    done = cache / f"big-project-{materials_hash()}"
    if not done.exists():
        cache.mkdir(parents=True, exist_ok=True)
        # Under the final name only when it is whole, so that a run that was cut off is repeated.
        with tempfile.TemporaryDirectory(dir=cache, prefix="big-project-", suffix=".part") as making:
            both = Path(making) / "both"
            both.mkdir()
            install(both / "normal")
            enlarge(both / "normal", both / "large")
            try:
                os.rename(both, done)
            except OSError:
                # Another process was quicker.
                if not done.exists():
                    raise
    return {name: str(done / name) for name in ("normal", "large")}


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: prepare.py CACHE_DIR")
    print(json.dumps(prepare(Path(sys.argv[1]).resolve())))


if __name__ == "__main__":
    main()
