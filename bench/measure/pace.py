"""CPU time per probe when all are asked equally often, as a scraper does it."""
from .floors import Least, bare
from .load import medians
from .peers import SCENARIOS
from .processes import peer

CONNECTIONS = 16  # as bench-peer has for its own pace


def pace(exporter, path, rate, seconds):
    """One round: CPU microseconds per probe."""
    before = exporter.cpu()
    count = int(peer("pace", f"127.0.0.1:{exporter.port}", path, rate, seconds))
    user, system = (1e6 * (b - a) / count for a, b in zip(before, exporter.cpu()))
    return {"user": user, "system": system}


def part(options, tmp, exporters):
    rounds = {}
    for _ in range(options.rounds):
        for kind in ("http", "tcp"):
            by_name = rounds.setdefault(kind, {})
            with Least(kind, tmp) as least:
                for e in (*exporters, least):
                    # Which module and target `least` is asked for does not matter to it.
                    by_name.setdefault(e.name, []).append(pace(e, SCENARIOS[kind], options.rate, options.seconds))
            row = bare(kind, CONNECTIONS, options.seconds, options.rate)
            by_name.setdefault("bare loop", []).append({"user": row["user"], "system": row["system"]})
    return {
        "rate": options.rate,
        "scenarios": {kind: {name: medians(rows) for name, rows in by_name.items()} for kind, by_name in rounds.items()},
    }
