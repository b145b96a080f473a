#!/usr/bin/env python3
"""Soak: many mixed probes, a third of them failing, reloads every second, pages open; memory, files and tasks stay flat.

usage: bench/soak.py [--ours PATH] [--probes 1000000] [--connections 64] [--seconds 5] [--longest 0]

Needs what bench/run.py needs. Prints a line after each tenth: probes so far, resident memory, open files, threads, bytes of log; `--longest`
ends it after so many seconds. Exit status 1 when memory grew by more than a quarter (and more than 4 MiB) after the
first tenth, when descriptors or threads are left, when a probe or a connection still runs at the end, when a response was not 200, when not about
a third of the probes failed (a peer died), or when the log has more lines than three per failed probe, one per redirect, two per reload, and thirty.
"""
import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time

from measure import peers
from measure.processes import OURS, Exporter, get

PAGES = ("/", "/config", "/metrics", "/-/healthy", "/logs?target=nowhere", "/probe?module=tcp&target=nowhere&debug=true")
FAILING = (
    "/probe?module=http&target=http://127.0.0.1:1/",
    "/probe?module=tcp&target=127.0.0.1:1",
    f"/probe?module=regex&target=http://127.0.0.1:{peers.TLS}/",
    f"/probe?module=https&target=https://127.0.0.1:{peers.HTTP}/",
    "/probe?module=tcp&target=nowhere",
    "/probe?module=dns&target=127.0.0.1:1",
    "/probe?module=http&target=http://[bad/",
    "/probe?module=grpc&target=127.0.0.1:1",
)
LUA = """local paths = { %s }
function setup(thread) worker = thread end
bad = 0
local i = %d
function request() i = i + 1; return wrk.format("GET", paths[i %% #paths + 1]) end
function response(status) if status ~= 200 then bad = bad + 1 end end
function done(summary) io.write(string.format("RESULT %%d %%d\\n", summary.requests, worker:get("bad"))) end
"""


class Disturbance:
    """A reload and every page once per second; each second reload has something new to read."""

    def __init__(self, port, config):
        self.port, self.config, self.turns, self.ended = port, config, 0, threading.Event()
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        while not self.ended.wait(1):
            self.turns += 1
            with open(self.config) as file:
                text = file.read().split("# turn")[0]
            with open(self.config + ".new", "w") as file:
                file.write(f"{text}# turn {self.turns // 2}\n")
            os.replace(self.config + ".new", self.config)
            self.curl("-X", "POST", path="/-/reload")
            for page in PAGES:
                self.curl("-H", "Accept: text/html", path=page)

    def curl(self, *options, path):
        subprocess.run(["curl", "-s", "-o", "/dev/null", *options, f"http://127.0.0.1:{self.port}{path}"], check=False)


def good():
    """A path per prober that succeeds."""
    return [path.replace("{n}", "1") for name, path in peers.SCENARIOS.items() if name != "metrics"]


def load(options, exporter, paths, done, tmp):
    """One turn of wrk: the responses, and those that were not 200."""
    script = f"{tmp}/soak.lua"
    with open(script, "w") as file:
        file.write(LUA % (", ".join(f'"{path}"' for path in paths), done))
    wrk = ["wrk", "-t1", f"-c{options.connections}", f"-d{options.seconds}s", "-s", script, f"http://127.0.0.1:{exporter.port}/"]
    out = subprocess.run(wrk, capture_output=True, text=True).stdout
    return map(int, re.search(r"RESULT (\d+) (\d+)", out).groups())


def soak(options, exporter, disturbance, tmp):
    """Whether all is well after as many probes as asked for."""
    log, succeeding = f"{tmp}/soak.log", good()
    paths = [
        path for i, one in enumerate(succeeding) for path in (one, succeeding[(i + 3) % len(succeeding)], FAILING[i % len(FAILING)])
    ]
    # Every prober once, so that what lives as long as the process is there.
    for path in succeeding:
        get(exporter.port, path)
    files, threads = exporter.files(), exporter.threads()
    done, wrong, memory, begin = 0, 0, [], time.time()
    while done < options.probes and not (options.longest and time.time() - begin > options.longest and len(memory) > 1):
        goal = done + options.probes / 10
        while done < goal:
            count, bad = load(options, exporter, paths, done, tmp)
            done, wrong = done + count, wrong + bad
        memory.append(exporter.rss())
        row = (done, memory[-1], exporter.files(), exporter.threads(), os.path.getsize(log), time.time() - begin)
        print("%9d probes  %6.1f MiB  %4d files  %3d threads  %11d bytes of log  %4.0f s" % row, flush=True)
    disturbance.ended.set()
    # Threads for blocking work live for ten seconds more.
    for _ in range(40):
        time.sleep(0.5)
        if exporter.threads() <= threads:
            break
    first, last = memory[0], exporter.rss()
    metrics = get(exporter.port, "/metrics")

    def figure(pattern):
        return sum(float(n) for n in re.findall(rf"^{pattern} (\S+)$", metrics, re.M))

    failed = figure(r'blackbox_exporter_probes_total\{.*result="failure".*\}')
    unended = figure("blackbox_exporter_probes_in_flight")
    with open(log) as file:
        lines = sum(1 for _ in file)
    redirects = 1.05 * done * sum(path.endswith("/r") for path in paths) / len(paths)
    left, more = exporter.files() - files, exporter.threads() - threads
    print(
        f"{done} probes, {failed:.0f} failed, {wrong} responses other than 200; memory {first:.1f} MiB after the first tenth, {last:.1f} MiB at the end; "
        f"{left} descriptors and {more} threads more than at the start, {unended:.0f} probes still running; {lines} lines of log, {disturbance.turns} reloads"
    )
    faults = {
        "a response was not 200": wrong,
        "memory grew": last - first > max(4, first / 4),
        "descriptors are left": left > 4,
        "threads are left": more > 0,
        "probes still run": unended,
        "not a third of the probes failed": not done / 4 < failed < done / 2,
        "the log grew beyond its rate": lines > 3 * failed + redirects + 2 * disturbance.turns + 30,
    }
    print("; ".join(fault for fault, is_so in faults.items() if is_so) or "all is well")
    return not any(faults.values())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=OURS)
    parser.add_argument("--probes", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=5, help="of load between two looks")
    parser.add_argument("--longest", type=float, default=0)
    options = parser.parse_args()
    tmp = tempfile.mkdtemp(prefix="soak-")
    running = peers.peers(tmp)
    try:
        config = peers.config(tmp)
        exporter = Exporter("soak", options.ours, config, 19302, tmp)
        running.append(exporter)
        disturbance = Disturbance(exporter.port, config)
        return 0 if soak(options, exporter, disturbance, tmp) else 1
    finally:
        for process in reversed(running):
            process.stop()
        shutil.rmtree(tmp, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
