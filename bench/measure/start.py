"""From exec to the first response, with few modules and with many."""
from .load import medians
from .peers import MODULE_COUNT, config
from .processes import Exporter


def part(options, tmp, binaries):
    found = {}
    for modules in (0, 10000):
        path = config(tmp, modules)
        for name, binary in binaries:
            rows = []
            for _ in range(max(options.rounds, 3)):
                with Exporter(name, binary, path, 19300, tmp) as e:
                    rows.append({"ready": 1e3 * e.ready, "memory": e.rss()})
            found.setdefault(str(modules + MODULE_COUNT), {})[name] = medians(rows)
    return found
