#!/usr/bin/env python3
"""Soak: many mixed probes, a third of them failing, reloads every second, pages open; memory, files and tasks stay flat.

usage: bench/soak.py [--ours PATH] [--probes 1000000] [--connections 64] [--seconds 5] [--longest 0]

Needs what bench/run.py needs. Prints a line a tenth of the way: probes so far, resident memory, open files, threads, bytes of log; `--longest`
ends it after so many seconds, however far it came. Exit status 1 when memory grew by more than a quarter (and more than 4 MiB) after the
first tenth, when descriptors or threads are left, when a probe or a connection still runs at the end, when an answer was not 200, when not about
a third of the probes failed (a peer died), or when the log has more lines than stated: three a failed probe, one a redirect, two a reload, thirty besides.
"""
import argparse, os, re, subprocess, sys, tempfile, threading, time, shutil

from measure import peers
from measure.processes import OURS, Exporter, get

PAGES = ("/", "/config", "/metrics", "/-/healthy")
FAILING = (
    "/probe?module=http&target=http://127.0.0.1:1/", "/probe?module=tcp&target=127.0.0.1:1", "/probe?module=regex&target=http://127.0.0.1:%d/" % peers.TLS,
    "/probe?module=https&target=https://127.0.0.1:%d/" % peers.HTTP, "/probe?module=tcp&target=nowhere", "/probe?module=dns&target=127.0.0.1:1",
    "/probe?module=http&target=http://[bad/", "/probe?module=grpc&target=127.0.0.1:1",
)
LUA = """local paths = { %s }
function setup(thread) worker = thread end
bad = 0
local i = %d
function request() i = i + 1; return wrk.format("GET", paths[i %% #paths + 1]) end
function response(status) if status ~= 200 then bad = bad + 1 end end
function done(summary) io.write(string.format("RESULT %%d %%d\\n", summary.requests, worker:get("bad"))) end
"""

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=OURS)
    parser.add_argument("--probes", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--seconds", type=int, default=5, help="of load between two looks")
    parser.add_argument("--longest", type=float, default=0)
    a = parser.parse_args()
    tmp = tempfile.mkdtemp(prefix="soak-")
    running, stop = peers.peers(tmp), threading.Event()
    try:
        config = peers.config(tmp)
        exporter = Exporter("soak", a.ours, config, 19302, tmp); running.append(exporter)
        log = f"{tmp}/soak.log"
        good = [p.replace("{n}", "1") for name, p in peers.SCENARIOS.items() if name != "metrics"]
        paths = [path for i, path in enumerate(good) for path in (path, good[(i + 3) % len(good)], FAILING[i % len(FAILING)])]
        script = f"{tmp}/soak.lua"

        turns = [0]

        def disturb():
            """A reload and every page once a second; each second reload has something new to read."""
            while not stop.wait(1):
                turns[0] += 1
                turn = turns[0]
                text = open(config).read().split("# turn")[0]
                open(config + ".new", "w").write(text + f"# turn {turn // 2}\n"); os.replace(config + ".new", config)
                subprocess.run(["curl", "-s", "-o", "/dev/null", "-X", "POST", f"http://127.0.0.1:{exporter.port}/-/reload"], check=False)
                for page in (*PAGES, "/logs?target=nowhere", "/probe?module=tcp&target=nowhere&debug=true"): subprocess.run(["curl", "-s", "-o", "/dev/null", "-H", "Accept: text/html", f"http://127.0.0.1:{exporter.port}{page}"], check=False)
        threading.Thread(target=disturb, daemon=True).start()

        done = wrong = 0
        rows = []
        # Every prober once, so that what lives as long as the process is there.
        for path in good: get(exporter.port, path)
        files, threads = exporter.files(), exporter.threads()
        begin = time.time()
        while done < a.probes and not (a.longest and time.time() - begin > a.longest and len(rows) > 1):
            open(script, "w").write(LUA % (", ".join(f'"{p}"' for p in paths), done))
            step = 0
            while step < a.probes / 10:
                out = subprocess.run(["wrk", "-t1", f"-c{a.connections}", f"-d{a.seconds}s", "-s", script, f"http://127.0.0.1:{exporter.port}/"], capture_output=True, text=True).stdout
                count, bad = map(int, re.search(r"RESULT (\d+) (\d+)", out).groups())
                step += count; wrong += bad
            done += step
            rows.append((done, exporter.rss(), exporter.files(), exporter.threads(), os.path.getsize(log)))
            print("%9d probes  %6.1f MiB  %4d files  %3d threads  %11d bytes of log  %4.0f s" % (*rows[-1], time.time() - begin), flush=True)
        stop.set()
        # Threads for blocking work live for ten seconds more.
        for _ in range(40):
            time.sleep(0.5)
            if exporter.threads() <= threads: break
        first, last = rows[0][1], exporter.rss()
        metrics = get(exporter.port, "/metrics")
        def figure(pattern): return sum(float(n) for n in re.findall(rf"^{pattern} (\S+)$", metrics, re.M))
        failed = figure(r'blackbox_exporter_probes_total\{.*result="failure".*\}')
        unended = figure("blackbox_exporter_probes_in_flight")
        lines, redirects = sum(1 for _ in open(log)), 1.05 * done * sum(path.endswith("/r") for path in paths) / len(paths)
        left, more = exporter.files() - files, exporter.threads() - threads
        print(f"{done} probes, {failed:.0f} failed, {wrong} answers other than 200; memory {first:.1f} MiB after the first tenth, {last:.1f} MiB at the end; "
              f"{left} descriptors and {more} threads more than at the start, {unended:.0f} probes still running; {lines} lines of log, {turns[0]} reloads")
        faults = {
            "an answer was not 200": wrong, "memory grew": last - first > max(4, first / 4), "descriptors are left": left > 4, "threads are left": more > 0,
            "probes still run": unended, "not a third of the probes failed": not done / 4 < failed < done / 2, "the log grew beyond its rate": lines > 3 * failed + redirects + 2 * turns[0] + 30,
        }
        print("; ".join(fault for fault, is_so in faults.items() if is_so) or "all is well")
        return 1 if any(faults.values()) else 0
    finally:
        stop.set()
        for p in reversed(running): p.stop()
        shutil.rmtree(tmp, ignore_errors=True)

if __name__ == "__main__": sys.exit(main())
