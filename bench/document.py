#!/usr/bin/env python3
"""Puts the figures of bench/figures.json and bench/instructions.json into the documents that quote them.

usage: bench/document.py [--check]

A document quotes a figure as `<!--=NAME ARGUMENTS-->text<!--/-->`: everything between the comments is replaced. With `--check`
nothing is written, and the exit status is 1 if something would be. NAME is a function of measure/quotes.py.
"""
import argparse
import json
import re
import sys

from measure import quotes
from measure.processes import ROOT

FIGURES = f"{ROOT}/bench/figures.json"
INSTRUCTIONS = f"{ROOT}/bench/instructions.json"
DOCUMENTS = ("README.md", "README.zh.md", "docs/performance.md", "docs/scaling.md", "docs/kubernetes.md")
QUOTE = re.compile(r"<!--=(\w+)([^>]*?)-->(.*?)<!--/-->", re.S)


def renewed(text, figures):
    """The text with the figures of now, and how many it quotes."""

    def quote(found):
        name, arguments, before = found.groups()
        now = quotes.QUOTES[name](figures, *arguments.split())
        # A table needs lines of its own.
        now = f"\n\n{now}\n\n" if "\n" in now else now
        return f"<!--={name}{arguments}-->{now}<!--/-->"

    return QUOTE.subn(quote, text)


def renew(check):
    """The documents that differ from the figures; without `check` they are written."""
    with open(FIGURES) as file:
        figures = json.load(file)
    with open(INSTRUCTIONS) as file:
        figures["instructions"] = json.load(file)
    stale, quoted = [], 0
    for document in DOCUMENTS:
        with open(f"{ROOT}/{document}") as file:
            before = file.read()
        now, count = renewed(before, figures)
        quoted += count
        if before.count("<!--=") != count:
            sys.exit(f"{document}: a quoted figure has no end")
        if now != before:
            stale.append(document)
            if not check:
                with open(f"{ROOT}/{document}", "w") as file:
                    file.write(now)
    print(f"{quoted} figures and tables in {len(DOCUMENTS)} documents come from bench/*.json")
    for document in stale:
        print(f"{document} {'differs: bench/document.py writes it' if check else 'renewed'}")
    return stale


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    return 1 if renew(check) and check else 0


if __name__ == "__main__":
    sys.exit(main())
