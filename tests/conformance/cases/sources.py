"""Source addresses that are none in particular, or of the other family. Recorded from upstream with run.py --record."""
import json

from dnswire import A1, fixed, tcp, udp
from harness import at, case

SOURCES = {"any4": "0.0.0.0", "any6": "::", "any-mapped": "::ffff:0.0.0.0", "loopback4": "127.0.0.1", "loopback6": "::1", "loopback-mapped": "::ffff:127.0.0.1"}
TARGETS = {"4": "127.0.0.1", "6": "::1"}


def source(name, about, prober, target, peers, options):
    case(f"sources/{name}", about=about, target=target, peers=peers, show=("metrics",), module=f"prober: {prober}\ntimeout: 1s\n{prober}: {json.dumps(options)}")


for word, address in SOURCES.items():
    for family, host in TARGETS.items():
        about, there = f"from {address} to {host}", f"[{host}]:{{port}}" if family == "6" else host + ":{port}"
        options = {"source_ip_address": address}
        source(f"tcp-{word}-to-{family}", about, "tcp", there, {"port": at(lambda conn: None, host=host)}, options)
        for transport, peer in (("udp", udp), ("tcp", tcp)):
            asked = {"query_name": "a.test", "transport_protocol": transport, **options}
            source(f"dns-{transport}-{word}-to-{family}", about, "dns", there, {"port": peer(fixed(A1), host=host)}, asked)
        source(f"icmp-{word}-to-{family}", about, "icmp", host, {}, options)
