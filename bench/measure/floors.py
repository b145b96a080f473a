"""What nothing can do less than: the bare loop of connecting, asking and closing, and the same for something that is scraped."""
import time

from .peers import HTTP, RSA, TLS
from .processes import PEER, Process, get, peer


# What is done in each scenario that has a floor, and to which port.
FLOORS = {"http": ("http", HTTP), "tcp": ("tcp", HTTP), "https-ecdsa": ("https", TLS), "https-rsa": ("https", RSA)}


class Least(Process):
    """Makes the connection of a probe for each request, and responds with fixed bytes."""

    name, port = "least", 19114

    def __init__(self, scenario, tmp):
        kind, port = FLOORS[scenario]
        super().__init__([PEER, "least", kind, f"127.0.0.1:{port}", str(self.port)], f"{tmp}/least.log")
        while True:
            try:
                get(self.port, "/")
                return
            except OSError:
                time.sleep(0.05)


def bare(scenario, connections, seconds, *rate):
    """One round of the bare loop: probes per second, CPU microseconds per probe."""
    kind, port = FLOORS[scenario]
    out = peer("floor", kind, f"127.0.0.1:{port}", connections, seconds, *rate)
    count, user, system = map(float, out.split())
    return {"per_second": count / seconds, "user": 1e6 * user / count, "system": 1e6 * system / count}
