#!/usr/bin/env python3
"""What several packets per probe cost, beside fping: many targets with `icmp.count: 5`, probed once within ten seconds.

usage: bench/packets.py [--ours PATH] [--targets 10000] [--rounds 3]

The targets are addresses 127.x.y.z. A packet's cost is a request and its reply, with the kernel's part in sending, replying and
receiving; the exporter's figures include the scrapes. Runs in a network namespace of its own (root). Builds nothing: `cargo build
--release` first. Needs iproute2 and fping. The table is Markdown.
"""
import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
import time

from icmp import connect
from measure.namespace import isolate
from measure.processes import OURS, Exporter

SECONDS, PACKETS = 10, 5
CONFIG = f"""modules:
  packets: {{prober: icmp, timeout: 10s, icmp: {{preferred_ip_protocol: ip4, count: {PACKETS}}}}}
"""

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=OURS)
    parser.add_argument("--targets", type=int, default=10000)
    parser.add_argument("--rounds", type=int, default=3)
    return parser.parse_args()

async def scrape(port, target):
    reader, writer = await connect(port)
    writer.write(f"GET /probe?module=packets&target={target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    answer = (await reader.read(-1)).decode()
    writer.close()
    return f"\nprobe_icmp_packets_received_count {PACKETS}\n" in answer

async def scrapes(port, targets):
    """How many targets replied to everything; each is probed when it is due."""
    start = time.monotonic()
    async def one(number, target):
        await asyncio.sleep(max(0, start + SECONDS * number / len(targets) - time.monotonic()))
        return await scrape(port, target)
    return sum(await asyncio.gather(*[one(*pair) for pair in enumerate(targets)]))

def ours(binary, targets, config, tmp):
    with Exporter("ours", binary, config, 9321, tmp) as exporter:
        before = exporter.cpu()
        answered = asyncio.run(scrapes(exporter.port, targets))
        return answered, *[after - before for after, before in zip(exporter.cpu(), before)]

def fping(targets):
    used = lambda: resource.getrusage(resource.RUSAGE_CHILDREN)[:2]
    before = used()
    apart = [f"-p{1000 * SECONDS // PACKETS}", f"-i{1000 * SECONDS / PACKETS / len(targets)}"]
    done = subprocess.run(["fping", "-q", f"-c{PACKETS}", *apart], input="\n".join(targets), stderr=subprocess.PIPE, text=True)
    return done.stderr.count(f"/{PACKETS}/0%"), *[after - before for after, before in zip(used(), before)]

def main():
    a = arguments()
    if not isolate():
        sys.exit("needs root, for a network namespace")
    targets = [f"127.{1 + i // 62500}.{i // 250 % 250}.{1 + i % 250}" for i in range(a.targets)]
    print(f"| {a.targets} targets, {PACKETS} packets each | without loss | CPU µs per packet: user | system | all |\n|---|---|---|---|---|")
    lost = False
    with tempfile.TemporaryDirectory() as tmp:
        config = f"{tmp}/config.yml"
        with open(config, "w") as file:
            file.write(CONFIG)
        for _ in range(a.rounds):
            for name, run in [("ours", lambda: ours(a.ours, targets, config, tmp)), ("fping", lambda: fping(targets))]:
                answered, *spent = run()
                user, system = [seconds / len(targets) / PACKETS * 1e6 for seconds in spent]
                print(f"| {name} | {answered} | {user:.1f} | {system:.1f} | {user + system:.1f} |", flush=True)
                lost |= name == "ours" and answered != len(targets)
    sys.exit("packets were lost" if lost else 0)

main()
