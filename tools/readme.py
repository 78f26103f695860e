#!/usr/bin/env python3
"""Runs the commands that README.md shows, and sees that they print what it says.

    tools/readme.py [--update] PROGRAM [DOCUMENT]

A block ```console holds commands after '$ ' (a trailing backslash goes on in the next line), each followed by what it
prints on both streams. They run in a new folder where examples/ is at hand and foretell is PROGRAM. Numbers may differ
by a millionth, since processors round differently in the last digits. With --update the document is rewritten with
what was printed, and pictures written to docs/img/ are kept.
"""
import difflib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?(?:e[-+]?\d+)?")


def same_line(a, b):
    """Equal but for the last digits of numbers."""
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return False
    pairs = zip(map(float, NUMBER.findall(a)), map(float, NUMBER.findall(b)))
    return all(abs(x - y) <= 1e-6 * max(abs(x), abs(y), 1.0) for x, y in pairs)


def same(shown, printed):
    return len(shown) == len(printed) and all(map(same_line, shown, printed))


def parse(block):
    """[(lines of the command, lines it shows)]"""
    commands = []
    more = False
    for line in block:
        if line.startswith("$ ") or more:
            if more:
                commands[-1][0].append(line)
            else:
                commands.append(([line], []))
            more = line.endswith("\\")
        elif commands:
            commands[-1][1].append(line)
        else:
            raise SystemExit(f"tools/readme.py: '{line}' stands in a console block before any '$ '")
    return commands


def run(command, folder, program):
    text = "\n".join(command)[2:]
    environment = dict(os.environ, PATH=f"{program.parent}:{os.environ['PATH']}", LC_ALL="C.UTF-8")
    done = subprocess.run(["bash", "-c", "set -o pipefail\n" + text], cwd=folder, env=environment, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120)
    if done.returncode not in (0, 141):  # 141: head had seen enough
        raise SystemExit(f"tools/readme.py: '{text}' ended with {done.returncode}:\n{done.stdout}")
    return done.stdout.rstrip("\n").split("\n") if done.stdout else []


def main():
    arguments = [a for a in sys.argv[1:] if a != "--update"]
    update = len(arguments) < len(sys.argv) - 1
    if not 1 <= len(arguments) <= 2:
        raise SystemExit(__doc__)
    program = Path(arguments[0]).resolve()
    document = Path(arguments[1] if len(arguments) > 1 else ROOT / "README.md")
    lines = document.read_text(encoding="utf-8").split("\n")
    result, wrong, count = [], 0, 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        shutil.copytree(ROOT / "examples", folder / "examples")
        (folder / "docs" / "img").mkdir(parents=True)
        i = 0
        while i < len(lines):
            result.append(lines[i])
            i += 1
            if result[-1] != "```console":
                continue
            end = lines.index("```", i)
            for command, shown in parse(lines[i:end]):
                printed = run(command, folder, program)
                count += 1
                result += command + printed
                if not same(shown, printed):
                    wrong += 1
                    if not update:
                        print("\n".join(difflib.unified_diff(shown, printed, "shown", "printed", lineterm="",
                                                             n=1)), file=sys.stderr)
            i = end
        for picture in sorted((folder / "docs" / "img").iterdir()):
            if picture.stat().st_size < 1000:
                raise SystemExit(f"tools/readme.py: {picture.name} has only {picture.stat().st_size} bytes")
            if f"docs/img/{picture.name}" not in "\n".join(lines):
                raise SystemExit(f"tools/readme.py: {picture.name} is made, but not shown")
            if update:
                shutil.copy(picture, ROOT / "docs" / "img" / picture.name)
    if count == 0:
        raise SystemExit(f"tools/readme.py: {document} has no commands in console blocks")
    if update:
        document.write_text("\n".join(result), encoding="utf-8")
        print(f"{document.name}: {count} commands run, {wrong} outputs changed")
    elif wrong:
        raise SystemExit(f"{document.name}: {wrong} of {count} commands print something else; `make docs` updates it")
    else:
        print(f"{document.name}: {count} commands print what it shows")


if __name__ == "__main__":
    main()
