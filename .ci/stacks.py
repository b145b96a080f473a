#!/usr/bin/env python3
"""Lines of code of what is written here although there are packages for it: a column of the table in docs/dependencies.md.

usage: .ci/stacks.py [--check]    writes the lines into the page, or fails when one is a tenth off, and more than 50 lines

Lines of code are lines that are not blank and not comments, without unit tests. A crate of the workspace that has no row is a fault.
"""

import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "dependencies.md"

# What the page calls it, and its files.
STACKS = {
    "gostd": ["crates/gostd/src"],
    "go-http, `http1`": ["crates/go-http/src/http1"],
    "go-http, `http2`": ["crates/go-http/src/http2"],
    "go-http, `http3`": ["crates/go-http/src/http3"],
    "go-http, `websocket`": ["crates/go-http/src/websocket"],
    "go-http, the rest": ["crates/go-http/src"],
    **{name: [f"crates/{name}/src"] for name in ("go-resolve", "miekg-dns", "go-x509", "go-regexp", "go-yaml", "ping-engine", "exposition", "alloy-syntax")},
    "`net/tls`": ["src/net/tls/cbc.rs", "src/net/tls/p521.rs"],
    "`prober/grpc`": ["src/prober/grpc"],
    "`net/oauth2`": ["src/net/oauth2"],
    "`config/codec/decode`, `value`, `write`": ["src/config/codec/decode", "src/config/codec/value", "src/config/write"],
    "`cli/reader`, `flags`": ["src/cli/reader.rs", "src/cli/flags"],
    "`logging`": ["src/logging"],
    "`telemetry/protobuf`": ["src/telemetry/protobuf.rs"],
    "`server/instruments/print`": ["src/server/instruments/print.rs"],
}
ROW = re.compile(r"^(\| [^|]+ \| )([^|]+)( \| )([\d,]+)( \| )", re.M)


def tracked():
    files = subprocess.run(["git", "ls-files", "src/*.rs", "crates/*.rs"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [name for name in files.split() if (ROOT / name).exists()]


def is_only_for_tests(path):
    """Whether a module is declared for tests only, or one that it is within."""
    folders = [folder / "mod.rs" for folder in path.parents if (ROOT / folder / "mod.rs").exists()]
    return any(is_declared_for_tests(module) for module in (path, *folders))


def is_declared_for_tests(path):
    name, parent = (path.parent.name, path.parent.parent) if path.stem == "mod" else (path.stem, path.parent)
    declared = re.compile(r"#\[cfg\(test\)\]\n(?:pub(?:\([a-z ]+\))? )?mod " + name + ";")
    places = [ROOT / parent / "mod.rs", ROOT / parent / "lib.rs", ROOT / parent.with_suffix(".rs")]
    return any(declared.search(place.read_text()) for place in places if place.exists())


def lines_of_code(path):
    text = (ROOT / path).read_text().split("#[cfg(test)]\nmod tests {", 1)[0]
    return sum(1 for line in text.splitlines() if line.strip() and not line.strip().startswith("//"))


def count():
    left = {path for path in map(pathlib.Path, tracked()) if not is_only_for_tests(path)}
    counts = {}
    # The longer paths first: `the rest` of a crate is what no other row has.
    for name, paths in sorted(STACKS.items(), key=lambda stack: -max(map(len, stack[1]))):
        own = {path for path in left if any(str(path) == each or str(path).startswith(each + "/") for each in paths)}
        left -= own
        counts[name] = sum(map(lines_of_code, own))
    missing = sorted({path.parts[1] for path in left if path.parts[0] == "crates"})
    if missing:
        sys.exit(f".ci/stacks.py: no row for {', '.join(missing)}")
    return counts


def main():
    page, counts = PAGE.read_text(), count()
    told = {row[2]: int(row[4].replace(",", "")) for row in ROW.finditer(page) if row[2] in counts}
    absent = sorted(counts.keys() - told.keys())
    if absent:
        sys.exit(f"docs/dependencies.md has no row for {', '.join(absent)}")
    if sys.argv[1:] == ["--check"]:
        off = [f"{name}: {lines}, {told[name]} in the page" for name, lines in counts.items() if abs(lines - told[name]) > max(lines / 10, 50)]
        if off:
            sys.exit("docs/dependencies.md is not up to date, run .ci/stacks.py: " + "; ".join(off))
        return
    PAGE.write_text(ROW.sub(lambda row: f"{row[1]}{row[2]}{row[3]}{counts[row[2]]:,}{row[5]}" if row[2] in counts else row[0], page))


main()
