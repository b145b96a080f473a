#!/usr/bin/env python3
"""Shows the compiler what runs when the exporter probes: starts one and asks it for probes of each kind, as scrapers do.

usage: bench/train.py EXPORTER [--probes N]

For packaging/optimise, whose exporter counts what runs. Most probes succeed, some fail, and some requests are for pages and /metrics. Builds
nothing; the targets are bench-peer's.
"""
import argparse
import collections
import concurrent.futures
import gzip
import http.client
import random
import shutil
import sys
import tempfile

from instructions import MODULES, PORT, targets
from measure.namespace import isolate
from measure.processes import Exporter

SCRAPERS = 16
# Relative to each other, about as they are used; grpc and what is not named have 1.
SHARES = {"http": 40, "https": 10, "tcp": 15, "icmp": 15, "dns": 8, "dialogue": 3}
OTHERS = [
    "/probe?module=http&target=http://127.0.0.1:1/",
    "/probe?module=tcp&target=127.0.0.1:1",
    "/probe?module=unknown&target=x",
    *["/metrics"] * 3,
    "/", "/config", "/targets", "/-/healthy",
]  # fmt: skip
OTHER = 0.03  # so many of all requests
HEADERS = {"Accept": "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "Accept-Encoding": "gzip", "X-Prometheus-Scrape-Timeout-Seconds": "10"}


def requests(found, count):
    """Kinds and paths, the same ones every time."""
    chance = random.Random(1)
    kinds = chance.choices(list(found), [SHARES.get(kind, 1) for kind in found], k=count)
    return [
        ("other", chance.choice(OTHERS)) if chance.random() < OTHER else (kind, f"/probe?module={kind}&target={found[kind]}") for kind in kinds
    ]


def scrape(wanted):
    """How many requests of each kind there were, and how many probes of each succeeded."""
    asked, succeeded = collections.Counter(), collections.Counter()
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
    for kind, path in wanted:
        connection.request("GET", path, headers=HEADERS)
        answer = connection.getresponse()
        body = answer.read()
        if answer.getheader("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        asked[kind] += 1
        succeeded[kind] += b"\nprobe_success 1\n" in body
    return asked, succeeded


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("exporter")
    parser.add_argument("--probes", type=int, default=20000)
    a = parser.parse_args()
    isolate()
    folder = tempfile.mkdtemp(prefix="train-")
    try:
        peers, found = targets(folder)
        with open(f"{folder}/config.yml", "w") as config:
            config.write(MODULES.replace("FOLDER", folder))
        with peers, Exporter("exporter", a.exporter, f"{folder}/config.yml", PORT, folder):
            wanted = requests(found, a.probes)
            with concurrent.futures.ThreadPoolExecutor(SCRAPERS) as pool:
                done = list(pool.map(scrape, [wanted[n::SCRAPERS] for n in range(SCRAPERS)]))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    asked, succeeded = (sum(counters, collections.Counter()) for counters in zip(*done))
    failed = [kind for kind in found if not succeeded[kind]]
    print(f"trained with {asked.total()} requests", *[f"no probe of {kind} succeeded" for kind in failed], sep="; ")
    # Not every builder may ping.
    return 1 if set(failed) - {"icmp"} else 0


if __name__ == "__main__":
    sys.exit(main())
