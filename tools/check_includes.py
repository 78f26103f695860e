#!/usr/bin/env python3
"""Prints every include that points the wrong way between the rooms of src/, and ends with 1 if there is any.

    tools/check_includes.py [ROOT]       check the project at ROOT (default: the one this script is in)
    tools/check_includes.py --self-test  see that each kind of wrong include is found and the right ones pass

A room may include itself, the public headers <foretell/...>, the rooms ALLOWED names, and the world outside.
"""
import pathlib
import re
import sys
import tempfile

# For each room the others it may include. A new room needs a line here.
NEURAL = "base math tensor nn models"
ALLOWED = {
    "base": "",
    "series": "base",
    "math": "base",
    "tensor": "base",
    "forecast": "base series",
    "nn": "base math tensor",
    "models": "base math tensor nn",
    "stats": "base series math forecast",
    "prophet": "base series math forecast",
    "eval": "base series math forecast",
    "plot": "base series math forecast",
    "hub": "base tensor",
    "chronos": NEURAL + " series forecast",
    "diffusion": NEURAL + " series forecast",
    "compress": NEURAL + " series forecast",
    "text": NEURAL + " series forecast",
    "cli": "",  # what these two lack, the public API lacks
    "server": "",
}
PUBLIC, PROGRAMS = "include/foretell", "examples"  # both may include public headers only
INCLUDE = re.compile(r'^[ \t]*#[ \t]*include(?:_next)?[ \t]*(?:"([^"\n]*)"|<([^>\n]*)>)', re.MULTILINE)
COMMENT = re.compile(r'//[^\n]*|/\*.*?\*/|("(?:\\.|[^"\\\n])*")', re.DOTALL)


def strip_comments(text):
    """Comments become blanks, line for line; what only looks like one inside a string stays."""
    return COMMENT.sub(lambda m: m[1] or re.sub(r"[^\n]", " ", m[0]), text)


def room_of(path, root):
    """'base' for src/base/x.c, 'public' for a public header, '' for src/foretell.c, None for all else in the project."""
    parts = path.relative_to(root).parts
    if parts[0] == "src":
        return parts[1] if len(parts) > 2 else ""
    if path.relative_to(root).as_posix().startswith(PUBLIC + "/"):
        return "public"
    return "examples" if parts[0] == PROGRAMS else None


def target_of(path, name, quoted, root):
    """The project's file that an include means, or None where it is the world's."""
    places = ([path.parent] if quoted else []) + [root / "include", root / "src"]
    for place in places:
        found = (place / name).resolve()
        if found.is_file() and found.is_relative_to(root):
            return found
    return None


def complaint(path, name, quoted, root):
    """What is wrong with this include, or None."""
    room, target = room_of(path, root), target_of(path, name, quoted, root)
    if target is None:
        return "there is no such file" if quoted or name.startswith("foretell/") else None
    where = room_of(target, root)
    if where is None:
        return "it is neither in src/ nor a public header"
    if where == "public":
        return None if not quoted else "write a public header as <foretell/...>"
    if where == "examples":
        return None if room == "examples" else "nothing includes an example"
    if where == "":
        return "src/foretell.c knows every room; no one knows it"
    if room == "" or room == where:
        return None
    if room in ("public", "examples"):
        return "only public headers may be included here"
    if where in ALLOWED[room].split():
        return None
    rooms = ", ".join(ALLOWED[room].split()) or "no other room"
    return f"{room} may include {rooms} and <foretell/...>, but not {where}"


def check(root):
    """[(file, line, include, complaint)]"""
    root, wrong = root.resolve(), []
    folders = [root / "src", root / PUBLIC, root / PROGRAMS]
    for path in sorted(p for folder in folders for p in folder.rglob("*") if p.suffix in (".c", ".h", ".inc")):
        if room_of(path, root) not in {"", "public", "examples", *ALLOWED}:
            wrong.append((path.relative_to(root), 1, "", f"room '{room_of(path, root)}' is not in {sys.argv[0]}"))
            continue
        text = strip_comments(path.read_text(encoding="utf-8"))
        for match in INCLUDE.finditer(text):
            quoted, name = match[1] is not None, match[1] if match[1] is not None else match[2]
            why = complaint(path, name, quoted, root)
            if why:
                line = text.count("\n", 0, match.start()) + 1
                wrong.append((path.relative_to(root), line, f'"{name}"' if quoted else f"<{name}>", why))
    return wrong


def self_test():
    good = {
        "include/foretell/base.h": "#include <stddef.h>\n",
        "include/foretell/foretell.h": "#include <foretell/base.h>\n",
        "src/base/alloc.h": "#include <foretell/base.h>\n",
        "src/base/alloc.c": '#include "base/alloc.h"\n#include "alloc.h"\n#include <zlib.h>\n',
        "src/math/linalg.h": '#  include "base/alloc.h"\n',
        "src/prophet/map.c": '#include "math/linalg.h"\n/*\n#include "plot/draw.h"\n*/\n// #include "tests/check.h"\n',
        "src/plot/draw.h": '#include "base/alloc.h"\n',
        "src/cli/cli.h": "#include <foretell/foretell.h>\n",
        "src/cli/main.c": '#include "cli/cli.h"\n#include "cli.h"\n',
        "src/foretell.c": '#include "prophet/../plot/draw.h"\n',
        "examples/clock.h": "",
        "examples/one.c": '#include <foretell/foretell.h>\n#include "clock.h"\n',
        "tests/check.h": "",
    }
    bad = {
        "src/base/up.c": '#include "math/linalg.h"\n',
        "src/math/side.c": "#include <plot/draw.h>\n",
        "src/stats/side.c": 'int x;\n#include "../plot/draw.h"\n',
        "src/plot/tests.c": '#include "../../tests/check.h"\n',
        "src/cli/inside.c": '#include "base/alloc.h"\n',
        "src/cli/gone.c": '#include "cli/nothing.h"\n',
        "src/cellar/new.c": "\n",
        "src/prophet/all.c": '#include "foretell.c"\n',
        "src/prophet/quoted.c": '#include "foretell/base.h"\n',
        "include/foretell/inside.h": '#include "base/alloc.h"\n',
        "include/foretell/gone.h": "#include <foretell/nothing.h>\n",
        "examples/inside.c": '#include "base/alloc.h"\n',
    }
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in {**good, **bad}.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        found = [(str(path), line) for path, line, _, _ in check(root)]
    expected = sorted((name, 2 if name == "src/stats/side.c" else 1) for name in bad)
    if sorted(found) != expected:
        print(f"found {sorted(set(found) - set(expected))} that are right, passed {sorted(set(expected) - set(found))}")
        return 1
    print(f"{len(bad)} wrong includes found, {len(good)} files with right ones passed")
    return 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent.parent)
    if not (root / "src").is_dir():
        print(f"{root} has no folder src/", file=sys.stderr)
        return 2
    wrong = check(root)
    for path, line, include, why in wrong:
        print(f"{path}:{line}: {'#include ' + include + ': ' if include else ''}{why}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
