#!/usr/bin/env python3
"""The software bill of materials of the released binary, in CycloneDX 1.5: sbom.py [TARGET] > blackbox_exporter.cdx.json

What is in it: every crate that is linked into the program on that target (x86_64-unknown-linux-gnu unless said otherwise), with the
version, licence and checksum of Cargo.lock, and who needs whom. Development and build dependencies are not. The same source gives the
same bytes.
"""
import json
import subprocess
import sys
import tomllib
import uuid

target = sys.argv[1] if len(sys.argv) > 1 else "x86_64-unknown-linux-gnu"


def cargo(*arguments):
    return subprocess.run(["cargo", *arguments], check=True, stdout=subprocess.PIPE, text=True).stdout


found = json.loads(cargo("metadata", "--format-version=1", "--locked", f"--filter-platform={target}"))
tree = cargo("tree", "--locked", f"--target={target}", "--edges=normal,no-proc-macro", "--prefix=none", "--format={p}")
linked = {tuple(line.split()[:2]) for line in tree.splitlines() if line.strip()}
packages = {p["id"]: p for p in found["packages"] if (p["name"], "v" + p["version"]) in linked}
checksums = {(p["name"], p["version"]): p.get("checksum") for p in tomllib.load(open("Cargo.lock", "rb"))["package"]}
own = found["resolve"]["root"]


def reference(package):
    return f"pkg:cargo/{package['name']}@{package['version']}"


def component(package):
    checksum = checksums[package["name"], package["version"]]
    facts = {
        "type": "library" if package["id"] != own else "application",
        "bom-ref": reference(package),
        "name": package["name"],
        "version": package["version"],
        "hashes": checksum and [{"alg": "SHA-256", "content": checksum}],
        "licenses": package["license"] and [{"expression": package["license"].replace("/", " OR ")}],
        "purl": reference(package),
        "externalReferences": package["repository"] and [{"type": "vcs", "url": package["repository"]}],
    }
    return {name: fact for name, fact in facts.items() if fact}


def needed(node):
    """Normal dependencies that are linked."""
    wanted = (d["pkg"] for d in node["deps"] if any(kind["kind"] is None for kind in d["dep_kinds"]))
    return sorted(reference(packages[i]) for i in wanted if i in packages)


libraries = sorted((component(p) for p in packages.values() if p["id"] != own), key=lambda c: c["bom-ref"])
nodes = [node for node in found["resolve"]["nodes"] if node["id"] in packages]
bom = {
    "bomFormat": "CycloneDX",
    "specVersion": "1.5",
    "version": 1,
    "metadata": {"component": component(packages[own]), "properties": [{"name": "cargo:target", "value": target}]},
    "components": libraries,
    "dependencies": sorted(({"ref": reference(packages[n["id"]]), "dependsOn": needed(n)} for n in nodes), key=lambda d: d["ref"]),
}
# Named after its content, as the standard wants a serial number and reproducibility forbids chance.
bom["serialNumber"] = "urn:uuid:" + str(uuid.uuid5(uuid.NAMESPACE_URL, json.dumps(bom, sort_keys=True)))
json.dump(bom, sys.stdout, indent=1, ensure_ascii=False)
print()
