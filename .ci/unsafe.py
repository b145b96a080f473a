#!/usr/bin/env python3
"""Counts `unsafe` in what the exporter links: a table for docs/unsafe.md.

usage: .ci/unsafe.py [--check]    prints the table, or fails when there is more than docs/unsafe.md tells of: any more of our own, a tenth more in all
Counted are the words `unsafe` of code, without comments, strings, tests, examples and benchmarks, in the sources of every crate that a
release for Linux links. Whether a block is compiled for this system is not looked at: the figures are upper bounds.
"""

import collections
import json
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "unsafe.md"
# What is no code: comments, raw strings, strings, characters. Lifetimes are left alone.
NO_CODE = re.compile(r"""//[^\n]*|/\*.*?\*/|\bb?r(#*)".*?"\1|b?"(?:\\.|[^"\\])*"|b?'(?:\\.[^']*|[^\\'])'""", re.S)
WORD = re.compile(r"\bunsafe\b")


def linked():
    """Name, version, folder of what is linked, and whether it is ours, in alphabetical order."""
    cargo = lambda *words: subprocess.run(["cargo", *words, "--locked"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    packages = json.loads(cargo("metadata", "--format-version", "1"))["packages"]
    tree = cargo(
        *("tree", "--package", "blackbox_exporter", "--edges", "normal,no-proc-macro", "--target", "x86_64-unknown-linux-gnu"),
        *("--prefix", "none", "--format", "{p}"),
    )
    names = {tuple(line.split()[:2]) for line in tree.splitlines() if line}
    return sorted(
        (package["name"], package["version"], pathlib.Path(package["manifest_path"]).parent, package["source"] is None)
        for package in packages
        if (package["name"], "v" + package["version"]) in names
    )


def count(folder):
    """How often `unsafe` stands in the code, and how many lines of Rust there are."""
    words = lines = 0
    for path in sorted((folder / "src").rglob("*.rs")):
        if {"tests", "test", "benches"} & set(path.relative_to(folder).parts) or path.stem in ("tests", "test"):
            continue
        text = NO_CODE.sub(" ", path.read_text(encoding="utf-8", errors="replace"))
        text = re.sub(r"\bunsafe_code\b", " ", text)
        text = text.split("#[cfg(test)]\nmod ", 1)[0]
        words += len(WORD.findall(text))
        lines += sum(1 for line in text.splitlines() if line.strip())
    return words, lines


def page():
    counted = [(name, version, own, *count(folder)) for name, version, folder, own in linked()]
    own = [row for row in counted if row[2]]
    with_it = sorted((row for row in counted if row[3]), key=lambda row: (-row[3], row[0]))
    total = collections.Counter(words=sum(row[3] for row in counted), lines=sum(row[4] for row in counted))
    out = [
        "# Unsafe code in what is linked",
        "",
        "Written by `.ci/unsafe.py > docs/unsafe.md`; `.ci/run` fails when there is any more in the crates of this repository, or a tenth more in all.",
        "",
        f"A release for Linux links {len(counted)} crates with {total['lines']:,} lines of Rust, {len(own)} of them from this repository.",
        f"{len(counted) - len(with_it)} have no `unsafe` at all. The others have {total['words']:,} `unsafe` blocks, functions, traits and",
        "implementations; those for other systems and processors count, too. C and assembler are linked by `aws-lc-sys` (cryptography) and",
        "`libmimalloc-sys` (memory).",
        "",
        "| crate | version | `unsafe` | lines |",
        "|---|---|--:|--:|",
    ]
    out += [f"| {name}{' (ours)' if own else ''} | {version} | {words:,} | {lines:,} |" for name, version, own, words, lines in with_it]
    return "\n".join(out) + "\n"


def figures(text):
    """What there is of our own, and in all."""
    rows = re.findall(r"^\| (\S+)( \(ours\))? \| \S+ \| ([\d,]+) \|", text, re.M)
    numbers = [(bool(own), int(words.replace(",", ""))) for _, own, words in rows]
    return sum(words for own, words in numbers if own), sum(words for _, words in numbers)


def main():
    text = page()
    if "--check" not in sys.argv[1:]:
        sys.stdout.write(text)
        return 0
    (own, total), (own_before, total_before) = figures(text), figures(PAGE.read_text(encoding="utf-8"))
    print(f"unsafe: {own} of our own ({own_before} documented), {total} in all ({total_before} documented)")
    if own > own_before or total > total_before * 1.1:
        print("more than documented; look why, then .ci/unsafe.py > docs/unsafe.md", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
