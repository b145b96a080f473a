"""CPU time per probe must not grow with modules, history entries or probes in flight; memory does."""
import time

from .flight import flood, leave
from .load import load, medians
from .peers import HANG, MODULE_COUNT, SCENARIOS, config
from .processes import Exporter


def part(options, tmp, binary):
    found = {}

    def measure(label, modules=0, more=(), waiting=0):
        with Exporter("ours", binary, config(tmp, modules), 19301, tmp, more) as e:
            floods = [flood(e, "hang_tcp", f"127.0.0.1:{HANG}", waiting, tmp)] if waiting else []
            time.sleep(2 if waiting else 0)
            seconds = max(1, options.seconds // 2)
            row = medians([load(e, SCENARIOS["tcp-spread"], tmp, seconds, options.connections) for _ in range(options.rounds)])
            found[label] = {"cpu": row["user"] + row["system"], "memory": e.peak()}
            leave(floods)

    for count in (0, 1000, 10000):
        measure(f"{count + MODULE_COUNT} modules", modules=count)
    for limit in (0, 100, 10000):
        measure(f"--history.limit={limit}", more=[f"--history.limit={limit}"])
    for count in (1000, 5000, options.in_flight):
        measure(f"{count} probes in flight", waiting=count, more=[f"--web.max-connections={count + 100}"])
    return found
