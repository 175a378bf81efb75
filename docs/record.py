#!/usr/bin/env python3
"""Prints the output of the guides: runs every command that they show, and replaces what it printed.

    cargo build --release -p quickdeploy-cli
    docs/record.py [--check] target/release/quickdeploy

Below a line `<!-- recorded: NAME -->` a guide has a block of commands and output. The commands are in here, in the
order in which they are run; `quickdeploy local` is the cloud. With `--check` nothing is written, and a guide that shows
other commands than these, or shows one that fails otherwise than expected, is an error.
"""

import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

DOCS = pathlib.Path(__file__).parent
ENDS = re.compile(r"<!-- recorded: ([a-z-]+) -->\n```console\n.*?```\n", re.S)

# What `cargo test --workspace` builds, or `cargo build --profile lambda -p zipedit-lambda`.
BOOTSTRAP = DOCS.parent / "target/lambda/bootstrap"
TEMPLATE = """\
AWSTemplateFormatVersion: "2010-09-09"
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: nodejs22.x
    CodeUri: .
    Timeout: 10
Resources:
  Start:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: shop-start, Handler: src/start.handler }
  Stop:
    Type: AWS::Serverless::Function
    Properties: { FunctionName: shop-stop, Handler: src/stop.handler }
"""
CONFIG = """\
artifact = "s3://shop-artifacts/shop.zip"
stack = "shop"
template = "template.yaml"
capabilities = ["CAPABILITY_IAM"]
exclude = ["template.yaml"]
via = "direct"
"""
HANDLER = """\
const {{ machine }} = require('./lib/machine.js');

exports.handler = async (event) => {{
  console.log('{verb}', event.id);
  return {{ {verb}: machine(event.id) }};
}};
"""
MACHINE = "exports.machine = (id) => `instance ${id}`;\n"


class World:
    """A project, and a cloud to deploy it to."""

    def __init__(self, program):
        self.program = pathlib.Path(program).resolve()
        self.home = pathlib.Path(tempfile.mkdtemp(prefix="quickdeploy-docs-"))
        self.shop = self.home / "shop"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        bin = self.home / "bin"
        bin.mkdir()
        (bin / "quickdeploy").symlink_to(self.program)
        self.environment = {
            "PATH": f"{bin}:{os.environ['PATH']}",
            "HOME": str(self.home),
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{self.port}",
            "AWS_REGION": "eu-central-1",
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "COLUMNS": "80",
        }
        self.recorded = {}
        self.cloud = subprocess.Popen(
            [self.program, "local", "--listen", f"127.0.0.1:{self.port}"],
            env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )
        for _ in range(200):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    break
            time.sleep(0.05)
        self.git("init", "-q", "-b", "main")
        self.git("config", "user.email", "ada@example.com")
        self.git("config", "user.name", "Ada")

    def git(self, *arguments):
        self.shop.mkdir(exist_ok=True)
        subprocess.run(["git", *arguments], cwd=self.shop, env=self.environment, check=True, capture_output=True)

    def write(self, name, text):
        file = self.shop / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def edit(self, name, old, new):
        text = (self.shop / name).read_text()
        assert old in text, (name, old)
        self.write(name, text.replace(old, new))

    def run(self, name, *commands, code=0):
        """Runs the commands, and records them with all that they print."""
        shown = []
        for command in commands:
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.shop, env=self.environment, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
            )
            expected = code if command is commands[-1] else 0
            if done.returncode != expected:
                sys.exit(f"{name}: `{command}` ended with {done.returncode}:\n{done.stdout}")
            shown.append(f"$ {command}\n{done.stdout.replace(str(self.home), '/home/ada')}")
        self.recorded[name] = "".join(shown)

    def watch(self, name, *edits):
        """Runs `quickdeploy watch` while files are edited, and ends it by Ctrl-C."""
        output = (self.home / "watch.out").open("w+")
        watching = subprocess.Popen(
            ["quickdeploy", "watch"], cwd=self.shop, env=self.environment, stdin=subprocess.DEVNULL,
            stdout=output, stderr=subprocess.STDOUT,
        )
        seen = lambda: (self.home / "watch.out").read_text()
        self.wait(lambda: "Finished" in seen(), name)
        for number, edit in enumerate(edits, 1):
            # The file system is watched before the first comparison begins, so nothing is missed.
            edit()
            self.wait(lambda: len(re.findall(r"^ +Live |^error", seen(), re.M)) >= number, name)
        watching.send_signal(signal.SIGINT)
        assert watching.wait(30) == 0
        self.recorded[name] = f"$ quickdeploy watch\n{seen()}"

    @staticmethod
    def wait(condition, what):
        end = time.monotonic() + 60
        while not condition():
            if time.monotonic() > end:
                sys.exit(f"{what}: nothing happened for a minute")
            time.sleep(0.02)

    def close(self):
        self.cloud.send_signal(signal.SIGTERM)
        self.cloud.wait(30)
        shutil.rmtree(self.home)


def story(world):
    """Everything that the guides show, from an empty account on."""
    world.write("template.yaml", TEMPLATE)
    world.write("quickdeploy.toml", CONFIG)
    world.write("package.json", '{ "name": "shop", "private": true, "dependencies": { "left-pad": "1.3.0" } }\n')
    world.write("src/lib/machine.js", MACHINE)
    for verb in ("start", "stop"):
        world.write(f"src/{verb}.js", HANDLER.format(verb=verb))
    world.git("add", ".")
    world.git("commit", "-qm", "shop")
    world.run("full", "quickdeploy full")

    world.edit("src/start.js", "console.log('start'", "console.log('starting'")
    world.run("diff", "quickdeploy diff")
    world.run("dry-run", "quickdeploy --dry-run")
    world.run("deploy", "quickdeploy")
    world.run("status", "quickdeploy status")

    world.write("event.json", '{ "id": 7 }\n')
    world.write(".quickdeployignore", "event.json\n")
    world.run("invoke", "quickdeploy invoke shop-start --event event.json")
    world.run("logs", "quickdeploy logs --since 10m")
    world.watch(
        "watch",
        lambda: world.edit("src/lib/machine.js", "instance", "machine"),
        lambda: world.edit("src/stop.js", "console.log('stop'", "console.log('stopping'"),
    )
    world.run("history", "quickdeploy history")
    world.run("rollback", "quickdeploy rollback")
    world.run("doctor", "quickdeploy doctor")
    world.write("quickdeploy.toml", CONFIG + 'affected = "traced"\n')
    world.edit("src/lib/machine.js", "machine ${id}", "machine no. ${id}")
    world.edit("src/stop.js", "return", "  return")
    world.run("affected", "quickdeploy diff --functions")
    world.write("quickdeploy.toml", CONFIG)

    world.git("checkout", "-q", "--", "src")
    subprocess.run(["zip", "-q", "-j", world.home / "bootstrap-x86_64.zip", BOOTSTRAP], check=True)
    # `quickdeploy local` has a function `zipedit` of its own.
    bootstrap = "quickdeploy bootstrap --zip ../bootstrap-x86_64.zip --stack-name shop-zipedit --function-name shop-zipedit"
    world.run("bootstrap", bootstrap, bootstrap)

    world.edit("package.json", '"left-pad": "1.3.0"', '"left-pad": "1.3.0", "right-pad": "1.0.1"')
    world.run("manifest", "quickdeploy")
    world.run("typo", "sed -i 's/stack = /stak = /' quickdeploy.toml", "quickdeploy", code=1)
    world.write("quickdeploy.toml", CONFIG)

    shutil.move(world.shop / "quickdeploy.toml", world.home / "kept.toml")
    world.run("init", "quickdeploy init --stack shop --dry-run")
    shutil.move(world.home / "kept.toml", world.shop / "quickdeploy.toml")
    world.run("patch", "zip -q -r ../build.zip src", "quickdeploy patch ../build.zip --put VERSION=package.json --delete src/stop.js")
    world.run("json", "quickdeploy diff --json")


def main():
    check = "--check" in sys.argv
    [program] = [argument for argument in sys.argv[1:] if argument != "--check"]
    world = World(program)
    try:
        story(world)
    finally:
        world.close()
    used = set()
    for guide in [*sorted(DOCS.glob("*.md")), DOCS.parent / "README.md"]:
        text = guide.read_text()

        def block(found):
            name = found.group(1)
            if name not in world.recorded:
                sys.exit(f"{guide.name}: nothing is recorded as `{name}`")
            used.add(name)
            shown = [line for line in found.group(0).splitlines() if line.startswith("$ ")]
            run = [line for line in world.recorded[name].splitlines() if line.startswith("$ ")]
            if check and shown != run:
                sys.exit(f"{guide.name}: `{name}` shows {shown}, but {run} was run")
            return f"<!-- recorded: {name} -->\n```console\n{world.recorded[name].rstrip()}\n```\n"

        new = ENDS.sub(block, text)
        if not check and new != text:
            guide.write_text(new)
            print(f"wrote {guide}")
    unused = set(world.recorded) - used
    if unused:
        sys.exit(f"recorded, but shown nowhere: {', '.join(sorted(unused))}")


if __name__ == "__main__":
    main()
