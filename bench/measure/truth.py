"""Truth under load: targets that take 5, 20 and 50 ms, and how far the reported phases are from that."""
import json
import os
import statistics
import subprocess
import sys

from .peers import config
from .processes import PEER, Exporter

PACES = (100, 1000, 2000)
SHARE = 0.8  # of the capacity
SECONDS = 3
IGNORE = "/proc/sys/net/ipv4/icmp_echo_ignore_all"


def urgent():
    """What makes targets and scraper run as soon as they can, as those of other machines do."""
    prefix = ["chrt", "-f", "1"]
    try:
        return prefix if subprocess.run([*prefix, "true"], capture_output=True).returncode == 0 else []
    except FileNotFoundError:
        return []


def ask(exporter, kind, rate, seconds):
    argv = [*urgent(), PEER, "truth", kind, f"127.0.0.1:{exporter.port}", str(rate), str(seconds)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=180)
    if done.returncode:
        sys.exit(f"{' '.join(argv)}: {done.stderr}")
    return json.loads(done.stdout)


def median(rounds):
    """The median of equal structures, number by number."""
    first = rounds[0]
    if isinstance(first, dict):
        return {key: median([one[key] for one in rounds]) for key in first}
    if isinstance(first, list):
        return [median(list(values)) for values in zip(*rounds)]
    return statistics.median(rounds)


def measured(options, kind, name, binary, tmp):
    """Of one exporter: its capacity, and the errors at each pace."""
    with Exporter(name, binary, config(tmp), 19310, tmp) as e:
        capacity = ask(e, kind, 0, SECONDS)["per_second"]
        rates = {str(rate): rate for rate in PACES} | {"80 %": round(capacity * SHARE)}
        found = {}
        for label, rate in rates.items():
            rounds = [ask(e, kind, rate, SECONDS) for _ in range(options.rounds)]
            if name == "ours" and any(r["failed"] for r in rounds):
                sys.exit(f"{kind} at {rate} probes per second: probes failed: {rounds}")
            found[label] = {"rate": rate, "sent": rate * SECONDS} | median(rounds)
        return {"capacity": capacity, "paces": found}


def part(options, tmp, binaries, isolated):
    found = {"seconds": SECONDS, "rounds": options.rounds, "real_time": bool(urgent())}
    found["http"] = {name: measured(options, "http", name, binary, tmp) for name, binary in binaries}
    # With the kernel's own replies to pings turned off, the target can reply late.
    if isolated and os.access(IGNORE, os.W_OK):
        with open(IGNORE, "w") as switch:
            switch.write("1")
        found["icmp"] = {name: measured(options, "icmp", name, binary, tmp) for name, binary in binaries}
        with open(IGNORE, "w") as switch:
            switch.write("0")
    return found
