"""Memory and latency while thousands of probes wait for targets that stay silent."""
import subprocess
import time

from .peers import HANG, SCENARIOS
from .processes import PEER, Process, peer


def flood(exporter, module, target, count, tmp):
    """Opens `count` scrapes that wait."""
    path = f"/probe?module={module}&target={target}"
    argv = [PEER, "flood", f"127.0.0.1:{exporter.port}", path, str(count)]
    started = Process(argv, f"{tmp}/flood.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    started.child.stdout.readline()
    return started


def leave(floods):
    for started in floods:
        started.child.stdin.close()
        started.stop()


def watch(port, path, count):
    """Latencies of `count` scrapes, one after the other: milliseconds at the 50th and 99th percentile."""
    values = sorted(float(line) for line in peer("watch", f"127.0.0.1:{port}", path, count).split())
    return [1e3 * values[int(len(values) * share)] for share in (0.5, 0.99)]


def part(options, tmp, exporters):
    found = {}
    for e in exporters:
        half = options.in_flight // 2
        floods = [flood(e, "hang_http", f"http://127.0.0.1:{HANG}/", half, tmp), flood(e, "hang_tcp", f"127.0.0.1:{HANG}", half, tmp)]
        time.sleep(3)
        page, tcp = watch(e.port, "/metrics", 300), watch(e.port, SCENARIOS["tcp"], 300)
        found[e.name] = {"memory": e.rss(), "threads": e.threads(), "files": e.files(), "page": page, "tcp": tcp}
        leave(floods)
        time.sleep(2)
        found[e.name] |= {"memory_2s": e.rss(), "files_2s": e.files()}
        time.sleep(8)
        found[e.name] |= {"memory_10s": e.rss()}
    return {"probes": options.in_flight, "exporters": found}
