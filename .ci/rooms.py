#!/usr/bin/env python3
"""The rooms of src/ (folders, and files beside them), lowest first, and which each uses. Fails when rooms, parts of a folder, or files use each other in
a circle.

The mod.rs of a folder calls its files and holds what they share: that they use it is not counted.

usage: .ci/rooms.py [--check]    --check prints circles only
"""

import collections
import graphlib
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def modules():
    """The files by their modules: src/prober/http/mod.rs by (src, prober, http)."""
    listed = subprocess.run(["git", "ls-files", "src/*.rs", "crates/*/src/*.rs"], cwd=ROOT, check=True, capture_output=True, text=True)
    for name in listed.stdout.split():
        source, _, path = name.partition("src/")
        names = path.removesuffix(".rs").split("/")
        if (ROOT / name).exists() and names[-1] != "tests":
            yield (source + "src", *(names[:-1] if names[-1] in ("mod", "lib") else names)), name


def paths(code):
    """The paths that code names, and those that its imports shorten to a name."""
    imports = {}
    for tree in re.findall(r"\buse ([\w:{},\s*]+);", code):
        while "{" in tree:
            each = lambda group: ",".join(group[1] + name.strip() for name in group[2].split(","))
            tree = re.sub(r"([\w:]*)\{([^{}]*)\}", each, tree)
        for path in tree.split(","):
            path, _, alias = path.strip().removesuffix("::self").partition(" as ")
            imports[alias or path.split("::")[-1]] = path
    return [*imports.values(), *re.findall(r"(?<![\w:])\w+(?:::\w+)+", code)], imports


def target(path, here, files, imports):
    """The module that a path leads to; the file itself for what is not of its crate."""
    first, _, rest = path.partition("::")
    names = [name for name in f"{imports.get(first, first)}::{rest}".split("::") if name != "self"]
    whole = [here[0], *names[1:]] if names[0] == "crate" else [*here, *names]
    while "super" in whole:
        at = whole.index("super")
        whole[max(at - 1, 0) : at + 1] = []
    while whole and tuple(whole) not in files:
        whole.pop()
    return tuple(whole)


def uses():
    """Each file with those that it uses; unit tests may use any."""
    files = dict(modules())
    found = {}
    for here, name in files.items():
        code = re.sub(r"//.*", "", (ROOT / name).read_text().split("#[cfg(test)]\nmod tests {", 1)[0])
        named, imports = paths(code)
        targets = {target(path, here, files, imports) for path in named}
        found[name] = sorted(files[module] for module in targets if module in files and here[: len(module)] != module)
    return found


# Whose files use each other in no circle, but folders do: advice is asked by the probers, of whose errors it reads.
OPEN = {"src/prober"}


def inner(files):
    """The folders, each with what is in it, and which of that uses which."""
    found = collections.defaultdict(lambda: collections.defaultdict(set))
    for name, used in files.items():
        path = pathlib.Path(name).parts
        for depth in range(1, len(path)):
            for other in (pathlib.Path(one).parts for one in used):
                one, another = (parts[depth].removesuffix(".rs") if parts[:depth] == path[:depth] else "mod" for parts in (path, other))
                if one != another and not {one, another} & {"mod", "lib"}:
                    found["/".join(path[:depth])][one].add(another)
    return {folder: uses for folder, uses in found.items() if folder not in OPEN}


def lowest_first(uses, what):
    try:
        return list(graphlib.TopologicalSorter(uses).static_order())
    except graphlib.CycleError as error:
        sys.exit(f"{what} use each other in a circle: " + ", used by ".join(error.args[1]))


def main():
    files = uses()
    rooms = collections.defaultdict(set)
    room = lambda name: pathlib.Path(name).parts[1].removesuffix(".rs")
    for name in files:
        if name.startswith("src/") and name not in ("src/lib.rs", "src/main.rs"):
            rooms[room(name)] |= {room(used) for used in files[name]} - {room(name)}
    rooms = {name: sorted(used) for name, used in sorted(rooms.items())}
    order = lowest_first(rooms, "rooms")
    lowest_first(files, "files")
    for folder, uses_ in inner(files).items():
        lowest_first(uses_, f"parts of {folder}")
    if sys.argv[1:] != ["--check"]:
        for name in order:
            print(f"{name}: {', '.join(rooms[name]) or 'nothing'}")
        print(f"{len(rooms)} rooms, {sum(map(len, rooms.values()))} arrows")


main()
