#!/usr/bin/env python3
"""Soak: many mixed probes, a third of them failing, reloads every second, pages open; memory, files and tasks stay flat.

usage: bench/soak.py [--ours PATH] [--probes 1000000] [--connections 64]

Needs what bench/run.py needs. Prints a line a tenth of the way: probes so far, resident memory, open files, threads, bytes of log.
Exit status 1 when memory grew by more than a quarter (and more than 4 MiB) after the first tenth, when descriptors are left, or when an answer was
not 200. The log's stated bound is one line a failed probe, one a reload.
"""
import argparse, os, re, subprocess, sys, tempfile, threading, time, shutil

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import run as bench

PAGES = ("/", "/config", "/metrics", "/-/healthy")
FAILING = (
    "/probe?module=http&target=http://127.0.0.1:1/", "/probe?module=tcp&target=127.0.0.1:1", "/probe?module=regex&target=http://127.0.0.1:%d/r" % bench.HTTP,
    "/probe?module=https&target=https://127.0.0.1:%d/" % bench.HTTP, "/probe?module=tcp&target=nowhere", "/probe?module=dns&target=127.0.0.1:1",
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
    parser.add_argument("--ours", default=f"{bench.ROOT}/target/release/blackbox_exporter")
    parser.add_argument("--probes", type=int, default=1_000_000)
    parser.add_argument("--connections", type=int, default=64)
    a = parser.parse_args()
    tmp = tempfile.mkdtemp(prefix="soak-")
    running, stop = bench.peers(tmp), threading.Event()
    try:
        config = bench.config(tmp)
        exporter = bench.Exporter("soak", a.ours, config, 19302, tmp); running.append(exporter)
        log = f"{tmp}/soak.log"
        good = [p for name, p in bench.SCENARIOS.items() if name != "metrics"]
        paths = [path for i, path in enumerate(good) for path in (path, good[(i + 3) % len(good)], FAILING[i % len(FAILING)])]
        script = f"{tmp}/soak.lua"

        def disturb():
            """A reload and every page once a second; each second reload has something new to read."""
            turn = 0
            while not stop.wait(1):
                turn += 1
                text = open(config).read().split("# turn")[0]
                open(config + ".new", "w").write(text + f"# turn {turn // 2}\n"); os.replace(config + ".new", config)
                subprocess.run(["curl", "-sS", "-o", "/dev/null", "-X", "POST", f"http://127.0.0.1:{exporter.port}/-/reload"], check=False)
                for page in (*PAGES, "/logs?target=nowhere"): subprocess.run(["curl", "-sS", "-o", "/dev/null", f"http://127.0.0.1:{exporter.port}{page}"], check=False)
        threading.Thread(target=disturb, daemon=True).start()

        done = wrong = 0
        rows = []
        files = exporter.files()
        begin = time.time()
        while done < a.probes:
            open(script, "w").write(LUA % (", ".join(f'"{p}"' for p in paths), done))
            step = 0
            while step < a.probes / 10:
                out = subprocess.run(["wrk", "-t1", f"-c{a.connections}", "-d5s", "-s", script, f"http://127.0.0.1:{exporter.port}/"], capture_output=True, text=True).stdout
                count, bad = map(int, re.search(r"RESULT (\d+) (\d+)", out).groups())
                step += count; wrong += bad
            done += step
            rows.append((done, exporter.rss(), exporter.files(), exporter.threads(), os.path.getsize(log)))
            print("%9d probes  %6.1f MiB  %4d files  %3d threads  %11d bytes of log  %4.0f s" % (*rows[-1], time.time() - begin), flush=True)
        stop.set(); time.sleep(2)
        first, last = rows[0][1], exporter.rss()
        left = exporter.files() - files
        print(f"{done} probes, {wrong} answers other than 200; memory {first:.1f} MiB after the first tenth, {last:.1f} MiB at the end; {left} descriptors more than at the start")
        grown = last - first > max(4, first / 4)
        return 1 if wrong or grown or left > 4 else 0
    finally:
        stop.set()
        for p in reversed(running): p.stop()
        shutil.rmtree(tmp, ignore_errors=True)

if __name__ == "__main__": sys.exit(main())
