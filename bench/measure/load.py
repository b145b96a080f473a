"""Unthrottled: wrk loads the exporters in turns, one scenario after the other."""
import re
import statistics
import subprocess
import sys
import time

from .floors import FLOORS, Least, bare
from .peers import SCENARIOS, SPREAD
from .processes import get

LUA = """bad = 0
function setup(thread) worker = thread end
function init(args) bad = 0 end
function response(status, headers, body) if not string.find(body, "WANT", 1, true) then bad = bad + 1 end end
function done(summary, latency)
  io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, worker:get("bad"), latency:percentile(50), latency:percentile(99), latency:percentile(99.9)))
end
"""
SPREADING = """n = 0
function request() n = n %% %d + 1; return wrk.format("GET", (string.gsub("%s", "{n}", n))) end
"""


def medians(rows):
    """Of dictionaries with the same keys."""
    return {key: statistics.median(row[key] for row in rows) for key in rows[0]}


def load(exporter, path, tmp, seconds, connections):
    """One round: probes per second, CPU microseconds per probe, milliseconds of latency."""
    script = f"{tmp}/check.lua"
    with open(script, "w") as file:
        file.write(LUA.replace("WANT", "process_" if path == "/metrics" else "probe_success 1"))
        file.write(SPREADING % (SPREAD, path) if "{n}" in path else "")
    path = path.replace("{n}", "1")
    before = exporter.cpu()
    wrk = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{exporter.port}{path}"]
    out = subprocess.run(wrk, capture_output=True, text=True).stdout
    after = exporter.cpu()
    count, bad, p50, p99, p999 = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", out).groups())
    if bad or not count:
        sys.exit(f"{exporter.name} {path}: {bad} of {count} probes failed\n{out}\n{get(exporter.port, path)[-800:]}")
    user, system = (1e6 * (b - a) / count for a, b in zip(before, after))
    return {"per_second": count / seconds, "user": user, "system": system, "p50": p50 / 1e3, "p99": p99 / 1e3, "p999": p999 / 1e3}


def part(options, tmp, exporters):
    chosen = {name: path for name, path in SCENARIOS.items() if not options.only or name in options.only.split(",")}
    memory = {e.name: {"idle": e.rss()} for e in exporters}
    rounds = {}

    def note(scenario, name, row):
        rounds.setdefault(scenario, {}).setdefault(name, []).append(row)

    for _ in range(options.rounds):
        for scenario, path in chosen.items():
            for e in exporters:
                note(scenario, e.name, load(e, path, tmp, options.seconds, options.connections))
                time.sleep(0.3)
        for scenario in FLOORS:
            if scenario in chosen:
                note(scenario, "bare loop", bare(scenario, options.connections, options.seconds))
                with Least(scenario, tmp) as least:
                    note(scenario, "least", load(least, f"/{scenario}", tmp, options.seconds, options.connections))
    for e in exporters:
        memory[e.name] |= {"after": e.rss(), "threads": e.threads(), "files": e.files()}
    return {
        "seconds": options.seconds,
        "rounds": options.rounds,
        "connections": options.connections,
        "scenarios": {scenario: {name: medians(rows) for name, rows in by_name.items()} for scenario, by_name in rounds.items()},
        "memory": memory,
    }
