"""What documents quote, by name: functions of the figures and the words behind the name in the document."""
from . import goals, tables
from .tables import number


def table(figures, name):
    return tables.TABLES[name](figures)


def reached(figures):
    return goals.table(figures)


def share(figures, scenario):
    """CPU time of ours as a percentage of the other's."""
    return f"{tables.ratio(figures, scenario):.0%}".replace("%", " %")


def rate(figures, scenario, name="ours"):
    return number(figures["load"]["scenarios"][scenario][name]["per_second"])


def memory(figures, name, when):
    """`idle`, `after` the load, or in `flight`: MiB."""
    if when == "flight":
        value = figures["flight"]["exporters"][name]["memory"]
    else:
        value = figures["load"]["memory"][name][when]
    return number(value) if value >= 10 else f"{value:.1f}"


def flight(figures):
    """How many probes were in flight."""
    return f"{figures['flight']['probes']:,}"


def truth(figures, name, pace, delay, phase="processing"):
    """The error at the 99th percentile in milliseconds, `processing` of http or `rtt` of icmp; or `scrape`, what a scrape takes beyond."""
    kind = "icmp" if phase == "rtt" else "http"
    return number(figures["truth"][kind][name]["paces"][pace]["delays"][delay][phase][1] / 1e3)


def targets(figures, *counts):
    """Memory with so many targets in a targets file."""
    return ", ".join(number(figures["memory"][count]) for count in counts)


def waiting(figures, count):
    """Memory with so many probes in flight."""
    return number(figures["curve"][f"{count} probes in flight"]["memory"])


def ours(figures):
    program = figures["programs"]["ours"]
    return f"{program['version']}, commit {program['commit']}, profile `{program['profile']}`, {program['compiler']}"


def other(figures):
    return figures["programs"]["other"]["version"]


def machine(figures):
    m = figures["machine"]
    return f"{m['processor']}, {m['cores']} cores, {m['memory']}, {m['system']}, {m['kernel']}, {m['date']}"


def peers(figures):
    return ", ".join(f"{name} {version}" for name, version in figures["peers"].items())


def command(figures):
    return f"`{figures['command']}`"


def rounds(figures):
    load = figures["load"]
    return f"{load['rounds']} rounds of {load['seconds']} s, {load['connections']} connections, medians"


def pace(figures):
    return f"{figures['pace']['rate']:,}"


def instructions(figures):
    rows = [[kind, f"{count:,}"] for kind, count in figures["instructions"]["instructions"].items()]
    return tables.table("probe | instructions:", rows)


def compiler(figures):
    return figures["instructions"]["compiler"]


QUOTES = {
    quote.__name__: quote
    for quote in (table, reached, share, rate, memory, flight, truth, targets, waiting, ours, other, machine, peers, command, rounds, pace, instructions, compiler)
}
