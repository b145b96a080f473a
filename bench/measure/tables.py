"""The figures as Markdown. Each function takes all of bench/figures.json."""

FLOORS = ("least", "bare loop")


def rounded(value):
    """With four significant digits, which is more than a run can repeat."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.4g}") if abs(value) < 1e4 else round(value)
    return value


def number(value):
    """As many digits as mean something: three."""
    if value >= 1000:
        return f"{float(f'{value:.3g}'):,.0f}"
    if value >= 10:
        return f"{value:.0f}" if value >= 100 else f"{value:.1f}"
    return f"{value:.2f}"


def table(head, rows):
    """`head` has the columns, those of numbers with a colon behind them."""
    columns = [column.strip() for column in head.split("|")]
    lines = [" | ".join(column.rstrip(":") for column in columns), "|".join("--:" if c.endswith(":") else "---" for c in columns)]
    lines += [" | ".join(map(str, row)) for row in rows]
    return "\n".join(f"| {line} |" if i != 1 else f"|{line}|" for i, line in enumerate(lines))


def names(figures, *floors):
    """The exporters in the order of the tables, and what they are called there."""
    return [(name, figures["programs"][name]["label"]) for name in ("other", "ours") if name in figures["programs"]] + [(n, n) for n in floors]


def cpu(row):
    return row["user"] + row["system"]


def ratio(figures, scenario, part="load"):
    """CPU time of ours divided by the other's."""
    rows = figures[part]["scenarios"][scenario]
    return cpu(rows["ours"]) / cpu(rows["other"])


def load(figures):
    rows = []
    for scenario, found in figures["load"]["scenarios"].items():
        base = cpu(found.get("other", found["ours"]))
        for name, label in names(figures, *FLOORS):
            if name not in found:
                continue
            row = found[name]
            latency = [f"{row[key]:.2f}" if key in row else "" for key in ("p50", "p99", "p999")]
            times = [f"{value:.1f}" for value in (cpu(row), row["user"], row["system"])]
            rows.append([scenario, label, f"{row['per_second']:.0f}", *times, *latency, f"{cpu(row) / base:.3f}"])
        for floor in FLOORS:
            if floor in found:
                rows.append([scenario, f"ours / {floor}", *[""] * 7, f"{cpu(found['ours']) / cpu(found[floor]):.2f}"])
    head = "scenario | exporter | probes/s: | CPU µs per probe: | user: | system: | p50 ms: | p99 ms: | p99.9 ms: | CPU ratio:"
    return table(head, rows) + "\n\n" + memory_of_load(figures)


def memory_of_load(figures):
    found = figures["load"]["memory"]
    rows = [
        [label, f"{found[name]['idle']:.1f}", f"{found[name]['after']:.1f}", found[name]["threads"], found[name]["files"]]
        for name, label in names(figures)
    ]
    return table("exporter | memory idle MiB: | after all scenarios MiB: | threads: | open files:", rows)


def pace(figures):
    rows = []
    for kind, found in figures["pace"]["scenarios"].items():
        base = cpu(found.get("other", found["ours"]))
        for name, label in names(figures, *FLOORS):
            row = found[name]
            times = [f"{value:.1f}" for value in (cpu(row), row["user"], row["system"])]
            rows.append([kind, label, *times, f"{cpu(row) / base:.3f}", f"{cpu(found['ours']) / cpu(row):.2f}"])
    return table("scenario | exporter | CPU µs per probe: | user: | system: | CPU ratio: | ours / this:", rows)


def flight(figures):
    found, rows = figures["flight"]["exporters"], []
    for name, label in names(figures):
        row = found[name]
        latency = [f"{value:.2f}" for value in (*row["page"], *row["tcp"])]
        rows.append([label, f"{row['memory']:.1f}", row["threads"], row["files"], *latency, f"{row['memory_2s']:.1f}", f"{row['memory_10s']:.1f}"])
    head = "exporter | memory MiB: | threads: | open files: | /metrics p50 ms: | p99 ms: | healthy tcp p50 ms: | p99 ms: | MiB 2 s after: | 10 s after:"
    return table(head, rows)


def start(figures):
    rows = [
        [label, modules, f"{found[name]['ready']:.1f}", f"{found[name]['memory']:.1f}"]
        for modules, found in figures["start"].items()
        for name, label in names(figures)
    ]
    return table("exporter | modules: | start to first response ms: | memory MiB:", rows)


def curve(figures):
    rows = [[label, f"{row['cpu']:.1f}", f"{row['memory']:.1f}"] for label, row in figures["curve"].items()]
    return table("ours, tcp-spread scenario | CPU µs per probe: | maximum memory MiB:", rows)


def memory_of_targets(figures):
    rows = [[f"{int(count):,}", f"{value:.1f}"] for count, value in figures["memory"].items()]
    return table("targets in the targets file: | maximum memory MiB:", rows)


def milliseconds(pair):
    return [f"{value / 1e3:.2f}" for value in pair]


def truth(figures):
    return "\n\n".join(truth_of(figures, kind) for kind in ("http", "icmp") if kind in figures["truth"])


def truth_of(figures, kind):
    found, rows = figures["truth"][kind], []
    phases = ["connect", "processing"] if kind == "http" else ["rtt"]
    for label in next(iter(found.values()))["paces"]:
        for delay in ("5", "20", "50"):
            for name, exporter in names(figures):
                measured = found[name]["paces"][label]
                row = measured["delays"].get(delay)
                pace = f"{measured['rate']} (80 %)" if label == "80 %" else label
                errors = [error for phase in (*phases, "scrape") for error in milliseconds(row[phase])] if row else [""] * 2 * (len(phases) + 1)
                lost = measured["failed"] + measured["unsent"]
                rows.append([pace, delay, exporter, *errors, f"{row['within']:.1%}" if row else "", f"{lost / measured['sent']:.1%}"])
    columns = "".join(f"{phase} p50: | p99: | " for phase in (*phases, "scrape"))
    return table(f"{kind} probes/s: | target takes ms: | exporter | {columns}within: | lost:", rows)


TABLES = {"load": load, "pace": pace, "flight": flight, "start": start, "curve": curve, "memory": memory_of_targets, "truth": truth}
