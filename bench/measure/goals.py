"""Goals, and whether the figures reach them."""
from .tables import cpu, number, ratio
from .tables import table as markdown


def rows(figures):
    """(what, at most, figures, unit)"""
    load, pace, flight = figures["load"], figures["pace"], figures["flight"]["exporters"]["ours"]

    def beside(*scenarios):
        return [ratio(figures, scenario) for scenario in scenarios]

    def floor(found):
        return cpu(found["ours"]) / cpu(found["least"])

    few, many = (found["ours"] for found in figures["start"].values())
    probes = figures["flight"]["probes"]
    yield "CPU per probe beside upstream: tcp, banner, icmp, dns", 0.17, beside("tcp-spread", "banner", "icmp", "dns"), ""
    yield "CPU per probe beside upstream: http, redirect, regex", 0.2, beside("http", "redirect", "regex"), ""
    yield "CPU per probe beside upstream: https (ECDSA, RSA)", 0.33, beside("https-ecdsa", "https-rsa"), ""
    yield "CPU per scrape of `/metrics` beside upstream", 0.05, beside("metrics"), ""
    yield "CPU per http probe beside `least`: unthrottled, paced", 1.3, [floor(load["scenarios"]["http"]), floor(pace["scenarios"]["http"])], ""
    https = [load["scenarios"][scenario] for scenario in ("https-ecdsa", "https-rsa")]
    if all("least" in found for found in https):
        yield "CPU per https probe beside `least` (ECDSA, RSA)", 1.3, [floor(found) for found in https], ""
    yield "memory idle", 8, [load["memory"]["ours"]["idle"]], "MiB"
    yield "memory after the load", 15, [load["memory"]["ours"]["after"]], "MiB"
    yield f"memory with {probes:,} probes in flight", 120, [flight["memory"]], "MiB"
    yield "memory per probe in flight", 11.5, [1024 * (flight["memory"] - load["memory"]["ours"]["idle"]) / probes], "KiB"
    yield "memory 10 s after them, above the memory after the load", 10, [100 * (flight["memory_10s"] / load["memory"]["ours"]["after"] - 1)], "%"
    yield "p99 of `/metrics` and of a healthy tcp probe meanwhile", 20, [flight["page"][1], flight["tcp"][1]], "ms"
    yield "start to first response", 10, [few["ready"]], "ms"
    yield "start to first response with 10,000 modules", 200, [many["ready"]], "ms"
    yield "memory with 10,000 modules", 60, [many["memory"]], "MiB"
    yield from truthful(figures)


def truthful(figures):
    """Probes whose phases were off by more, at 80 % of the capacity."""
    for kind, phases in (("http", "connect, processing"), ("icmp", "rtt")):
        if kind in figures["truth"]:
            delays = figures["truth"][kind]["ours"]["paces"]["80 %"]["delays"].values()
            off = [100 * (1 - row["within"]) for row in delays]
            yield f"{phases} off by more than 5 % and 200 µs at 80 % of capacity, targets that take 5, 20, 50 ms: probes", 1, off, "%"


def table(figures):
    found = []
    for what, most, values, unit in rows(figures):
        unit = f" {unit}" if unit else ""
        shown = ", ".join(number(value) for value in values)
        found.append([what, f"{most:g}{unit}", f"{shown}{unit}", "yes" if max(values) <= most else "no"])
    return markdown("what | at most: | measured: | reached", found)
