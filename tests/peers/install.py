#!/usr/bin/env python3
"""Installs the independent implementations that the end-to-end tests also run against, each in an environment of its own:
their pins contradict each other.

    python3 tests/peers/install.py [--into DIR] [NAME...]

A NAME is that of a `.txt` file here, which pins all that is installed. Without names: all of them, in parallel. DIR is
`$QUICKDEPLOY_PEERS`, or else `target/peers` in the workspace, where the tests look too. What is there already stays.

The names of those that are there in the end go to standard output. A peer whose Python isn't on this machine is left out
and said to be NOT INSTALLED; that is a failure only if it was named. Any other trouble is one.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

HERE = pathlib.Path(__file__).resolve().parent
NAMES = sorted(file.stem for file in HERE.glob("*.txt"))
#: The Pythons that each is known to run on, as (first, last); whatever isn't named runs on 3.11 and later.
PYTHONS = {"localstack": ((3, 13), (3, 13))}
#: Written last, so that an installation that broke off isn't taken for one. The tests compare it with the pins.
INSTALLED = "installed.txt"


def version_of(python: str) -> tuple[int, ...] | None:
    """(3, 13) of an executable; None if it doesn't run. pyenv's shims are there also for versions that aren't chosen."""
    program = "import sys; print(*sys.version_info[:2])"
    try:
        ran = subprocess.run([python, "-c", program], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return tuple(map(int, ran.stdout.split())) if ran.returncode == 0 else None


def candidates(minor: int):
    """Where a Python 3.`minor` may be: on the path, or among pyenv's."""
    if found := shutil.which(f"python3.{minor}"):
        yield found
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    yield from map(str, sorted(pyenv.glob(f"versions/3.{minor}*/bin/python3.{minor}"), reverse=True))


def python_for(name: str) -> str | None:
    first, last = PYTHONS.get(name, ((3, 11), (3, 99)))
    if first <= sys.version_info[:2] <= last:
        return sys.executable
    for minor in range(first[1], min(last[1], 20) + 1):
        for python in candidates(minor):
            if version_of(python) == (3, minor):
                return python
    return None


class NoPython(Exception):
    pass


def install(name: str, into: pathlib.Path) -> None:
    pins, home = HERE / f"{name}.txt", into / name
    installed = home / INSTALLED
    if installed.exists() and installed.read_text() == pins.read_text():
        return
    python = python_for(name)
    if python is None:
        first, last = PYTHONS.get(name, ((3, 11), (3, 99)))
        wanted = f"Python {first[0]}.{first[1]}" + ("" if first == last else " or later")
        raise NoPython(f"it needs {wanted}, which is neither on the path nor among pyenv's")
    run([python, "-m", "venv", "--clear", home])
    # Compiled when they are imported, which most of these modules never are.
    run([home / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile", "-r", pins])
    installed.write_text(pins.read_text())


def run(command: list) -> None:
    ran = subprocess.run(list(map(str, command)), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600)
    if ran.returncode != 0:
        raise RuntimeError(f"{' '.join(map(str, command))} failed:\n{ran.stdout}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    default = os.environ.get("QUICKDEPLOY_PEERS") or HERE.parents[1] / "target/peers"
    parser.add_argument("--into", type=pathlib.Path, default=pathlib.Path(default), metavar="DIR")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(NAMES)}")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(NAMES):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(NAMES)}")
    into = arguments.into.resolve()
    into.mkdir(parents=True, exist_ok=True)
    failed = False
    names = arguments.names or NAMES
    with ThreadPoolExecutor(len(names)) as pool:
        under_way = {name: pool.submit(install, name, into) for name in names}
    for name, installation in under_way.items():
        match installation.exception():
            case None:
                print(name)
            case NoPython() as error:
                failed |= name in arguments.names
                print(f"{name}: NOT INSTALLED: {error}", file=sys.stderr)
            case error:
                failed = True
                print(f"{name}: {error}", file=sys.stderr)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
