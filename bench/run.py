#!/usr/bin/env python3
"""Side-by-side benchmark: this exporter and another one under the same load, in turns, within one run.

usage: bench/run.py [--against PROGRAM] [--json FILE] [--parts load,pace,flight,start,curve,memory,truth] [--only http,tcp]
       bench/run.py --record

Builds nothing; needs Debian's nginx (with libnginx-mod-stream), unbound, wrk and openssl, and

    packaging/optimise && cargo build --locked --release --example bench-peer

Prints the tables of docs/performance.md; `--record` measures everything, writes bench/figures.json and renews the documents that
quote it (about ten minutes on two cores, which must be quiet).

Everything stays on 127.0.0.1 and ends with the run; as root, in a network namespace of its own. `--against` takes any exporter
with upstream's flags (default: Debian's prometheus-blackbox-exporter, where it is installed). A failed probe ends the run with
an error, because its figures would mean nothing. The parts:

load    unthrottled, each exporter at a speed of its own
pace    all at the same rate, with `least` and the bare loop as lower bounds
flight  memory and latency while thousands of probes wait
start   from exec to the first response
curve   CPU time per probe with more modules, history and probes in flight
memory  with thousands of targets in a targets file
truth   errors of the reported phases against targets that take exactly 5, 20 and 50 ms
"""
import argparse
import json
import os
import resource
import shutil
import sys
import tempfile

import document
from measure import curve, flight, load, machine, memory, pace, start, tables, truth
from measure.namespace import isolate
from measure.peers import config, peers
from measure.processes import RELEASED, Exporter

PARTS = "load,pace,flight,start,curve,memory,truth"


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=RELEASED)
    parser.add_argument("--against", default=shutil.which("prometheus-blackbox-exporter") or "", metavar="PROGRAM")
    parser.add_argument("--seconds", type=int, default=2, help="of each round")
    parser.add_argument("--rounds", type=int, default=3, help="their median counts")
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=10000, help="a probe takes two open files: fewer if the limit of open files is lower")
    parser.add_argument("--only", default="", help="scenarios of the part `load`")
    parser.add_argument("--rate", type=int, default=2000, help="probes per second of the part `pace`")
    parser.add_argument("--parts", default=PARTS)
    parser.add_argument("--json", metavar="FILE", help="write the figures there")
    parser.add_argument("--record", action="store_true", help="--json bench/figures.json, and renew the documents")
    options = parser.parse_args()
    if options.record:
        if options.parts != PARTS or options.only or not options.against:
            parser.error("--record measures everything, against another exporter")
        options.json = document.FIGURES
    return options


def measure(options, isolated, tmp):
    binaries = [("ours", options.ours)] + ([("other", options.against)] if options.against else [])
    parts = options.parts.split(",")
    versions, targets = machine.programs(binaries)
    figures = {"command": "bench/run.py --record" if options.record else " ".join(["bench/run.py", *sys.argv[1:]])}
    figures |= {"machine": machine.machine(), "programs": versions, "peers": targets}
    running = peers(tmp)

    def note(name, found):
        figures[name] = found
        print("\n" + tables.TABLES[name](figures), flush=True)

    try:
        if {"load", "pace", "flight"} & set(parts):
            # By default half of the open files are for connections of scrapers; more scrapers than that would wait.
            room = {"ours": [f"--web.max-connections={options.in_flight + 100}"]}
            path = config(tmp)
            exporters = [Exporter(n, b, path, 19115 + i, tmp, room.get(n, [])) for i, (n, b) in enumerate(binaries)]
            running += exporters
            for name, part in (("load", load.part), ("pace", pace.part), ("flight", flight.part)):
                if name in parts:
                    note(name, part(options, tmp, exporters))
            for exporter in exporters:
                exporter.stop()
        if "start" in parts:
            note("start", start.part(options, tmp, binaries))
        if "curve" in parts:
            note("curve", curve.part(options, tmp, options.ours))
        if "memory" in parts:
            note("memory", memory.part(tmp, options.ours))
        if "truth" in parts:
            note("truth", truth.part(options, tmp, binaries, isolated))
    finally:
        for process in reversed(running):
            process.stop()
    return figures


def main():
    options = arguments()
    isolated = isolate()
    files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    options.in_flight = min(options.in_flight, (files - 200) // 2)
    tmp = tempfile.mkdtemp(prefix="bench-")
    try:
        figures = measure(options, isolated, tmp)
    finally:
        shutil.rmtree(tmp, ignore_errors=True)
    if options.json:
        with open(options.json, "w") as file:
            json.dump(tables.rounded(figures), file, indent=1, ensure_ascii=False)
            file.write("\n")
    if options.record:
        document.renew(check=False)


if __name__ == "__main__":
    main()
