"""What nothing can do less than: the bare loop of connecting, asking and closing, and the same for something that is scraped."""
import time

from .peers import HTTP
from .processes import PEER, Process, get, peer


class Least(Process):
    """Makes the connection of a probe for each request, and responds with fixed bytes."""

    name, port = "least", 19114

    def __init__(self, kind, tmp):
        super().__init__([PEER, "least", kind, f"127.0.0.1:{HTTP}", str(self.port)], f"{tmp}/least.log")
        while True:
            try:
                get(self.port, "/")
                return
            except OSError:
                time.sleep(0.05)


def bare(kind, connections, seconds, *rate):
    """One round of the bare loop: probes per second, CPU microseconds per probe."""
    out = peer("floor", kind, f"127.0.0.1:{HTTP}", connections, seconds, *rate)
    count, user, system = map(float, out.split())
    return {"per_second": count / seconds, "user": 1e6 * user / count, "system": 1e6 * system / count}
