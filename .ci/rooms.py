#!/usr/bin/env python3
"""The rooms of src/ (folders, and files beside them), lowest first, and which each uses. Fails when rooms use each other in a circle.

usage: .ci/rooms.py [--check]    --check prints circles only
"""

import collections
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def uses():
    """Each room with the rooms whose names its code takes; unit tests may take any."""
    files = subprocess.run(["git", "ls-files", "src/*.rs"], cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
    found = collections.defaultdict(set)
    for name in files:
        path = ROOT / name
        if not path.exists() or path.stem == "tests" or name in ("src/lib.rs", "src/main.rs"):
            continue
        code = path.read_text().split("#[cfg(test)]\nmod tests {", 1)[0]
        code = "\n".join(line for line in code.splitlines() if not line.lstrip().startswith("//"))
        groups = " ".join(re.findall(r"\bcrate::\{(.*?)\};", code, re.S))
        names = set(re.findall(r"\bcrate::(\w+)", code)) | set(re.findall(r"(?<![:\w])\w+", groups))
        found[pathlib.Path(name).parts[1].removesuffix(".rs")] |= names
    return {room: (names & found.keys()) - {room} for room, names in found.items()}


def main():
    rooms = uses()
    arrows, left, lowest = sum(map(len, rooms.values())), dict(rooms), []
    while ready := sorted(room for room, needs in left.items() if not needs & left.keys()):
        lowest += ready
        left = {room: needs for room, needs in left.items() if room not in ready}
    if sys.argv[1:] != ["--check"]:
        for room in lowest:
            print(f"{room}: {', '.join(sorted(rooms[room])) or 'nothing'}")
        print(f"{len(rooms)} rooms, {arrows} arrows")
    if left:
        sys.exit("a circle among: " + "; ".join(f"{room} uses {', '.join(sorted(needs & left.keys()))}" for room, needs in sorted(left.items())))


main()
