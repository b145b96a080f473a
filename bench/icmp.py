#!/usr/bin/env python3
"""Ten thousand pings at once, through /probe: do all get their replies, what do they cost, and do unreachable hosts disturb the others?

usage: bench/icmp.py [--ours PATH] [--against PROGRAM] [--pings 10000]

Part 1 opens a connection for each ping, then asks for all of them at once: addresses 127.x.y.z, nothing may be lost.
In part 2 as many pings wait for hosts behind a router that drops everything, and for hosts that do not answer ARP, while
a reachable host is pinged: its round-trip time must stay what it is alone.

Runs in a network namespace of its own (root). Needs iproute2; builds nothing: `packaging/optimise` first. `--against` takes
any exporter with upstream's flags (default: Debian's prometheus-blackbox-exporter). The tables are Markdown.
"""
import argparse
import asyncio
import os
import re
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

from measure.namespace import isolate
from measure.processes import RELEASED, Exporter

CONFIG = """modules:
  ping: {prober: icmp, timeout: 10s, icmp: {preferred_ip_protocol: ip4}}
"""

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=RELEASED)
    parser.add_argument("--against", default=shutil.which("prometheus-blackbox-exporter") or "", metavar="PROGRAM")
    parser.add_argument("--pings", type=int, default=10000)
    return parser.parse_args()

def network():
    """A router that drops everything, and hosts that do not answer ARP."""
    for command in """ip link add hole type veth peer name hole-end
        ip addr add 10.1.0.1/16 dev hole
        ip link set hole up
        ip link set hole-end up
        ip neigh add 10.1.0.2 lladdr 02:00:00:00:00:02 dev hole
        ip route add 10.2.0.0/16 via 10.1.0.2""".splitlines():
        subprocess.run(command.split(), check=True)
    settings = {"ip_local_port_range": "10000 65000", "neigh/default/gc_thresh3": "100000"}
    for name, value in settings.items():
        path = f"/proc/sys/net/ipv4/{name}"
        if os.path.exists(path):
            with open(path, "w") as file:
                file.write(value)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 60000), hard))

def cpu(exporter): return sum(exporter.cpu())

async def connect(port):
    while True:
        try: return await asyncio.open_connection("127.0.0.1", port)
        except OSError: await asyncio.sleep(0.05)

async def ask(streams, target):
    reader, writer = streams
    writer.write(f"GET /probe?module=ping&target={target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read(-1)).decode()
    writer.close()
    value = lambda series: float(re.search(rf"^{re.escape(series)} (\S+)$", answer, re.M).group(1))
    return value("probe_success") == 1, value('probe_icmp_duration_seconds{phase="rtt"}')

async def connections(port, count):
    made = []
    while len(made) < count:
        made += await asyncio.gather(*[connect(port) for _ in range(min(200, count - len(made)))])
    return made

async def burst(exporter, count):
    targets = [f"127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}" for i in range(count)]
    streams = await connections(exporter.port, count)
    before, start = cpu(exporter), time.monotonic()
    answers = await asyncio.gather(*[ask(s, t) for s, t in zip(streams, targets)])
    return sum(ok for ok, _ in answers), time.monotonic() - start, (cpu(exporter) - before) / count * 1e6, statistics.median(rtt for _, rtt in answers)

async def living(exporter, seconds):
    times, lost, end = [], 0, time.monotonic() + seconds
    while time.monotonic() < end:
        ok, rtt = await ask(await connect(exporter.port), "127.0.0.1")
        if ok: times.append(rtt)
        else: lost += 1
        await asyncio.sleep(0.01)
    times.sort()
    return times[len(times) // 2] * 1e6, times[len(times) * 99 // 100] * 1e6, lost

async def holes(exporter, count):
    alone = await living(exporter, 2)
    before = cpu(exporter)
    targets = [f"10.2.{i // 250}.{1 + i % 250}" if i % 2 else f"10.1.{1 + i // 250}.{1 + i % 250}" for i in range(count)]
    streams = await connections(exporter.port, count)
    waiting = asyncio.gather(*[ask(s, t) for s, t in zip(streams, targets)])
    await asyncio.sleep(1.5)
    beside = await living(exporter, 5)
    # Nobody else has ping sockets in this namespace.
    sockets = len(open("/proc/net/icmp").readlines()) - 1
    answers = await waiting
    return alone, beside, sockets, (cpu(exporter) - before) / count * 1e6, sum(ok for ok, _ in answers)

def main():
    a = arguments()
    if not isolate():
        sys.exit("needs root, for a network namespace")
    network()
    exporters = [("ours", a.ours)] + ([("other", a.against)] if a.against else [])
    with tempfile.TemporaryDirectory() as tmp:
        config = f"{tmp}/config.yml"
        with open(config, "w") as file:
            file.write(CONFIG)
        print(f"{a.pings} pings at once to 127.x.y.z:\n")
        print("| exporter | answered | wall s | CPU µs per ping (with its HTTP) | median rtt µs | peak RSS MiB |\n|---|---|---|---|---|---|")
        lost = False
        for name, binary in exporters:
            with Exporter(name, binary, config, 9301, tmp) as exporter:
                answered, wall, spent, rtt = asyncio.run(burst(exporter, a.pings))
                print(f"| {name} | {answered} | {wall:.2f} | {spent:.0f} | {rtt * 1e6:.0f} | {exporter.peak():.0f} |", flush=True)
                lost |= name == "ours" and answered != a.pings
        print(f"\nA living host beside {a.pings} pings to dead ones:\n")
        print("| exporter | rtt alone µs (median, p99) | rtt beside them | lost | ping sockets | peak RSS MiB | CPU µs per dead ping |\n|---|---|---|---|---|---|---|")
        for name, binary in exporters:
            with Exporter(name, binary, config, 9311, tmp) as exporter:
                alone, beside, sockets, spent, wrong = asyncio.run(holes(exporter, a.pings))
                print(f"| {name} | {alone[0]:.0f}, {alone[1]:.0f} | {beside[0]:.0f}, {beside[1]:.0f} | {beside[2]} | {sockets} | {exporter.peak():.0f} | {spent:.0f} |", flush=True)
                lost |= name == "ours" and (beside[2] > 0 or wrong > 0)
    sys.exit("pings were lost" if lost else 0)

if __name__ == "__main__":
    main()
