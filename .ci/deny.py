#!/usr/bin/env python3
"""The part of `cargo deny check licenses bans sources` that deny.toml uses, without building cargo-deny."""
import json
import re
import subprocess
import sys
import tomllib

policy = tomllib.load(open("deny.toml", "rb"))
allowed = set(policy["licenses"]["allow"])
denied = {entry["name"]: entry for entry in policy["bans"]["deny"]}


def satisfied(expression):
    """Whether an SPDX expression can be met with the allowed licences: AND binds tighter than OR."""
    tokens = re.findall(r"\(|\)|[^\s()]+", expression.replace("/", " OR "))

    def alternatives():
        value = conjunction()
        while tokens and tokens[0] == "OR":
            tokens.pop(0)
            value = conjunction() or value
        return value

    def conjunction():
        value = single()
        while tokens and tokens[0] == "AND":
            tokens.pop(0)
            value = single() and value
        return value

    def single():
        token = tokens.pop(0)
        if token == "(":
            value = alternatives()
            tokens.pop(0)
            return value
        if tokens and tokens[0] == "WITH":
            token = " ".join((token, tokens.pop(0), tokens.pop(0)))
        return token in allowed

    return alternatives()


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


def metadata():
    """Packages that are really built (`cargo metadata` also lists what only a weak feature names), and who wants each."""
    packages, parents = {}, {}
    for target in policy["graph"]["targets"]:
        found = json.loads(cargo("metadata", "--format-version=1", "--locked", "--all-features", f"--filter-platform={target}"))
        by_id = {package["id"]: package for package in found["packages"]}
        tree = cargo("tree", "--locked", "--all-features", f"--target={target}", "--edges=all", "--prefix=none", "--format={p}")
        built = {tuple(line.split()[:2]) for line in tree.splitlines() if line.strip()}
        used = {i for i, package in by_id.items() if (package["name"], "v" + package["version"]) in built}
        for node in found["resolve"]["nodes"]:
            if node["id"] not in used:
                continue
            packages[node["id"]] = by_id[node["id"]]
            for dependency in node["dependencies"]:
                parents.setdefault(dependency, set()).add(by_id[node["id"]]["name"])
    return packages, parents


packages, parents = metadata()
faults = []
for identity, package in packages.items():
    name = f"{package['name']} {package['version']}"
    if not satisfied(package["license"] or "none"):
        faults.append(f"{name}: licence {package['license']} is not allowed")
    ban = denied.get(package["name"])
    if ban and not parents.get(identity, set()) <= set(ban.get("wrappers", [])):
        faults.append(f"{name}: banned ({ban['reason']}), wanted by {', '.join(sorted(parents[identity]))}")
    if package["source"] and not package["source"].startswith("registry+https://github.com/rust-lang/crates.io-index"):
        faults.append(f"{name}: from {package['source']}")
print("\n".join(faults) or f"{len(packages)} packages: licences, bans and sources are as deny.toml wants them")
sys.exit(1 if faults else 0)
