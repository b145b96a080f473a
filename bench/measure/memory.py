"""The most memory with a targets file of a given length, when each of its targets was probed."""
import http.client

from .peers import HTTP, config, write
from .processes import Exporter

TARGETS = (0, 5000, 10000, 20000)


def part(tmp, binary):
    found = {}
    for count in TARGETS:
        addresses = [f"http://127.0.0.1:{HTTP}/{n}" for n in range(count)]
        entries = "".join(f"\n  - {{name: target-{n}, address: '{address}', module: http}}" for n, address in enumerate(addresses))
        path = write(f"{tmp}/targets-{count}.yml", f"targets:{entries or ' []'}\n", tmp)
        with Exporter("ours", binary, config(tmp), 19303, tmp, [f"--targets.file={path}"]) as e:
            scraper = http.client.HTTPConnection("127.0.0.1", e.port, timeout=20)
            for request in ("/targets", *(f"/probe?module=http&target={address}" for address in addresses)):
                scraper.request("GET", request)
                scraper.getresponse().read()
            found[str(count)] = e.peak()
    return found
