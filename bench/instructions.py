#!/usr/bin/env python3
"""The regression gate: how many instructions the exporter executes for one probe of each kind, counted by valgrind.

usage: bench/instructions.py [--exporter PATH] [--record] [--only http,dns]

Fails when a kind takes over 3 % more instructions than bench/instructions.json says; `--record` writes that file and renews
docs/performance.md. Fewer pass, with a remark. Builds nothing; needs Debian's valgrind and

    cargo build --locked --release --bin blackbox_exporter && cargo build --locked --example bench-peer

Counts are of the exporter's instructions in user mode, its libraries included: not of the kernel, the peers or the start. One
worker thread makes probes one after the other, in rounds; the lower quartile of the rounds is judged, and a kind that fails is
counted again, twice at most. Neither a busy machine nor its clock changes a count. valgrind presents the same processor (one with
AVX2) on all that have AVX2, so cryptography, which chooses its code by processor, runs the same code everywhere. Another compiler
gives other counts: then 10 % are allowed.
"""
import argparse
import http.client
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time

import document
from measure.namespace import isolate
from measure.processes import OURS, ROOT, Exporter, Process

RECORD = document.INSTRUCTIONS
# The tests' build will do: what the peers execute does not count.
PEER = os.environ.get("BENCH_PEER", f"{ROOT}/target/debug/examples/bench-peer")
ALLOWED, ALLOWED_OTHER_COMPILER = 0.03, 0.10
WARM, PROBES, ROUNDS = 20, 20, 12
RECOUNTS = 2  # of a kind that seems to take too many: chance does not repeat itself
PORT = 19400

MODULES = """modules:
  http: {prober: http, timeout: 30s, http: {preferred_ip_protocol: ip4}}
  https: {prober: http, timeout: 30s, http: {preferred_ip_protocol: ip4, fail_if_not_ssl: true, tls_config: {ca_file: FOLDER/ca.crt}}}
  tcp: {prober: tcp, timeout: 30s, tcp: {preferred_ip_protocol: ip4}}
  dialogue: {prober: tcp, timeout: 30s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: "^220 ([^ ]+) ESMTP"}, {send: "EHLO prober\\r"}, {expect: "^250 STARTTLS"}, {send: "QUIT\\r"}]}}
  icmp: {prober: icmp, timeout: 30s, icmp: {preferred_ip_protocol: ip4}}
  dns: {prober: dns, timeout: 30s, dns: {preferred_ip_protocol: ip4, query_name: www.example.test, query_type: A}}
  grpc: {prober: grpc, timeout: 30s, grpc: {preferred_ip_protocol: ip4}}
  unix: {prober: unix, timeout: 30s, unix: {query_response: [{expect: "^220 "}]}}
  websocket: {prober: websocket, timeout: 30s, websocket: {preferred_ip_protocol: ip4, query_response: [{expect: "^ready"}]}}
"""


def targets(folder):
    """Starts the peers: their process, and the target of each kind."""
    peers = Process([PEER, "kinds", folder], f"{folder}/peers.log", stdout=subprocess.PIPE, text=True)
    found = {}
    for line in peers.child.stdout:
        if line == "ready\n":
            return peers, found | {"icmp": "127.0.0.1"}
        kind, target = line.split()
        found[kind] = target
    sys.exit(f"bench-peer: {open(f'{folder}/peers.log').read()}")


class Counted(Exporter):
    """An exporter that runs within callgrind."""

    def __init__(self, binary, folder):
        with open(f"{folder}/config.yml", "w") as config:
            config.write(MODULES.replace("FOLDER", folder))
        self.folder, self.dumps = folder, 0
        valgrind = ["valgrind", "-q", "--tool=callgrind", f"--callgrind-out-file={folder}/count", f"--vgdb-prefix={folder}/vgdb"]
        environment = {**os.environ, "TOKIO_WORKER_THREADS": "1"}
        super().__init__("exporter", binary, f"{folder}/config.yml", PORT, folder, ["--log.level=error"], valgrind, env=environment)
        self.connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)

    def control(self, command):
        argv = ["vgdb", f"--pid={self.pid}", f"--vgdb-prefix={self.folder}/vgdb", command]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        if done.returncode:
            sys.exit(f"{' '.join(argv)}: {done.stdout}{done.stderr}")

    def probe(self, kind, target):
        self.connection.request("GET", f"/probe?module={kind}&target={target}")
        answer = self.connection.getresponse().read().decode()
        if "\nprobe_success 1\n" not in answer:
            sys.exit(f"{kind}: the probe failed\n{answer}\n{open(f'{self.folder}/exporter.log').read()[-2000:]}")

    def round(self, kind, target):
        """Instructions per probe."""
        self.control("zero")
        for _ in range(PROBES):
            self.probe(kind, target)
        self.control("dump")
        self.dumps += 1
        with open(f"{self.folder}/count.{self.dumps}") as dump:
            total = re.search(r"^totals: (\d+)$", dump.read(), re.M)
        return int(total.group(1)) / PROBES


def count(binary, chosen):
    """Kind: (instructions per probe, spread of the rounds as a share of them)."""
    folder, counts = tempfile.mkdtemp(prefix="instructions-"), {}
    try:
        peers, found = targets(folder)
        with peers, Counted(binary, folder) as exporter:
            for kind, target in found.items():
                if not chosen(kind):
                    continue
                for _ in range(WARM):
                    exporter.probe(kind, target)
                rounds = sorted(exporter.round(kind, target) for _ in range(ROUNDS))
                # An answer that comes in two pieces or a timer that fires can only add to a round.
                lower = rounds[ROUNDS // 4]
                counts[kind] = lower, (rounds[-1] - rounds[0]) / lower
        return counts
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def compiler():
    return subprocess.run(["rustc", "--version"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def allowance(recorded):
    """How many times as many instructions as recorded are allowed."""
    if recorded["compiler"] == compiler():
        return 1 + ALLOWED
    print(f"recorded with {recorded['compiler']}, this is {compiler()}: {ALLOWED_OTHER_COMPILER:.0%} more are allowed instead of {ALLOWED:.0%}")
    return 1 + ALLOWED_OTHER_COMPILER


def excess(counts, recorded, allowed):
    """The kinds that take too many instructions, or of which none were recorded."""
    return [kind for kind, (now, _) in counts.items() if now > allowed * recorded["instructions"].get(kind, 0)]


def show(counts, recorded, worse):
    print("kind       instructions   recorded   change   spread of the rounds")
    for kind, (now, spread) in counts.items():
        before = recorded["instructions"].get(kind)
        if before is None:
            print(f"{kind:10} {now:12.0f}: not recorded")
            continue
        change = now / before - 1
        remark = "  TOO MANY" if kind in worse else "  fewer than recorded" if change < -ALLOWED else ""
        print(f"{kind:10} {now:12.0f} {before:10.0f} {change:+8.1%} {spread:8.1%}{remark}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--exporter", default=OURS)
    parser.add_argument("--record", action="store_true", help="write bench/instructions.json")
    parser.add_argument("--only", default="", help="kinds, with commas between them")
    a = parser.parse_args()
    if a.record and a.only:
        parser.error("--record counts all kinds")
    if platform.machine() != "x86_64" and not a.record:
        print(f"skipped: the recorded instructions are those of x86_64, this is {platform.machine()}")
        return 0
    # Pings take another way where only root may send them: in a namespace it is the same one everywhere.
    isolated, since = isolate(), time.monotonic()
    only = [kind for kind in a.only.split(",") if kind]
    counts = count(a.exporter, lambda kind: kind in only if only else isolated or kind != "icmp")
    if not isolated and not only:
        print("icmp: skipped, only root can have a network namespace")
    if a.record:
        record(counts)
    with open(RECORD) as file:
        recorded = json.load(file)
    allowed = allowance(recorded)
    for _ in range(RECOUNTS):
        worse = excess(counts, recorded, allowed)
        if not worse:
            break
        print(f"counted again: {', '.join(worse)}")
        again = count(a.exporter, worse.__contains__)
        counts = {kind: min(found, again.get(kind, found)) for kind, found in counts.items()}
    worse = excess(counts, recorded, allowed)
    show(counts, recorded, worse)
    print(f"{ROUNDS} rounds of {PROBES} probes of each kind in {time.monotonic() - since:.0f} s")
    if worse:
        print(f"more instructions than bench/instructions.json allows: {', '.join(worse)}. If that is meant: bench/instructions.py --record")
    return 1 if worse else 0


def record(counts):
    found = {
        "command": "bench/instructions.py --record",
        "compiler": compiler(),
        "instructions": {kind: round(now) for kind, (now, _) in counts.items()},
    }
    with open(RECORD, "w") as file:
        json.dump(found, file, indent=2)
        file.write("\n")
    document.renew(check=False)


if __name__ == "__main__":
    sys.exit(main())
