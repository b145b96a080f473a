#!/usr/bin/env python3
"""The source of the dashboards: writes dashboards/blackbox.json and dashboards/blackbox-deepflow.json.

usage: build.py [--check]    --check writes nothing and fails when a file is not what this source says

The two differ in the names of the metrics only: DeepFlow keeps what came by remote write as `prometheus__samples__<name>`.
"""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
CHOSEN = 'job=~"$job", module=~"$module", target=~"$target", instance=~"$instance"'
LEGEND = "{{target}} · {{job}}"
# The scrapes of the jobs that probe: what probed within the last day, so that a dead exporter's stay in sight.
SCRAPES = 'up{job=~"$job"} and on (job) last_over_time(probe_success{job=~"$job"}[1d])'
DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}


def chosen(metric, *more):
    """The chosen series of a metric; by upstream's relabelling only `instance` names the target, here `target` always does."""
    without, own = (", ".join([CHOSEN, *more, label]) for label in ('target=""', 'target!=""'))
    return f'(label_replace({metric}{{{without}}}, "target", "$1", "instance", "(.*)") or {metric}{{{own}}})'


def line(metric):
    """The chosen series of a metric as a table needs them: `merge` joins on every column that the queries share, so without their names."""
    return f"max by (job, target, module, instance) ({chosen(metric)})"


def pinged(metric, *more):
    """The series of a metric of the one target that a repeated panel shows, named as `chosen` names it."""
    named = 'target="", instance=~"$pinged"', 'target=~"$pinged"'
    return "({} or {})".format(*(f"{metric}{{{', '.join([CHOSEN, *more, one])}}}" for one in named))


def query(expr, ref="A", legend=LEGEND, table=False):
    """One query; a table shows the values of this moment."""
    kind = {"format": "table", "instant": True} if table else {"format": "time_series", "range": True}
    return {"datasource": DATASOURCE, "refId": ref, "expr": expr, "legendFormat": legend, **kind}


def panel(kind, title, description, at, queries, unit=None, **more):
    """A panel at (x, y, width, height) of Grafana's grid, which is 24 wide."""
    x, y, w, h = at
    defaults = {**({"unit": unit} if unit else {}), **more.pop("defaults", {})}
    return {
        "type": kind,
        "title": title,
        "description": description,
        "gridPos": {"x": x, "y": y, "w": w, "h": h},
        "datasource": DATASOURCE,
        "targets": queries,
        "fieldConfig": {"defaults": defaults, "overrides": more.pop("overrides", [])},
        **more,
    }


def steps(first, *rest):
    """Thresholds: the first colour from the bottom, then (value, colour)."""
    return {"mode": "absolute", "steps": [{"value": None, "color": first}, *({"value": v, "color": c} for v, c in rest)]}


ANSWERS = [
    {"type": "value", "options": {"0": {"text": "down", "color": "red", "index": 0}, "1": {"text": "up", "color": "green", "index": 1}}}
]
TABLE_LEGEND = {"legend": {"displayMode": "table", "placement": "right", "calcs": ["lastNotNull", "mean", "max"]}, "tooltip": {"mode": "multi"}}


def column(name, title, **properties):
    """How one column of a table looks."""
    return {
        "matcher": {"id": "byName", "options": name},
        "properties": [{"id": "displayName", "value": title}, *({"id": k.replace("_", "."), "value": v} for k, v in properties.items())],
    }


def table(title, description, at, queries, overrides, hidden):
    """A table with one line per target: the queries' results joined by their labels."""
    return panel(
        "table", title, description, at, queries, overrides=overrides,
        transformations=[
            {"id": "merge", "options": {}},
            {"id": "organize", "options": {"excludeByName": {name: True for name in ["Time", "__name__", *hidden]}}},
        ],
        options={"showHeader": True, "sortBy": [{"displayName": "target", "desc": False}]},
    )



def links(labels):
    """From a target to what the exporter knows of it; `labels` is where Grafana has the labels of a value."""
    query = "&".join(f"{name}=${{{labels}.{name}:percentencode}}" for name in ("module", "target", "instance"))
    page = lambda path: f"${{exporter:raw}}/{path}?{query}"
    return [
        {"title": "Results, log and certificates", "url": page("target"), "targetBlank": True},
        {"title": "Trace of the last failed probe", "url": page("trace"), "targetBlank": True},
    ]


PANELS = [
    panel(
        "gauge", "Targets up now", "Share of the chosen targets whose last probe succeeded.", (0, 0, 5, 8),
        [query(f"avg({chosen('probe_success')})", legend="up")], "percentunit",
        defaults={"min": 0, "max": 1, "thresholds": steps("red", (0.9, "orange"), (1, "green"))},
    ),
    panel(
        "stat", "Up and down", "Number of targets by the result of their last probe.", (5, 0, 3, 8),
        [
            query(f"sum({chosen('probe_success')})", "A", "up"),
            query(f"count({chosen('probe_success')}) - sum({chosen('probe_success')})", "B", "down"),
        ],
        defaults={"color": {"mode": "thresholds"}, "thresholds": steps("text")},
        overrides=[
            {"matcher": {"id": "byName", "options": "up"}, "properties": [{"id": "thresholds", "value": steps("green")}]},
            {"matcher": {"id": "byName", "options": "down"}, "properties": [{"id": "thresholds", "value": steps("green", (1, "red"))}]},
        ],
    ),
    table(
        "Responses", "The last response of every target, for every prober.", (8, 0, 16, 8),
        [
            query(line("probe_success"), "A", table=True),
            query(line("probe_duration_seconds"), "B", table=True),
            query(line("probe_http_status_code"), "C", table=True),
            query(line("probe_ip_protocol"), "D", table=True),
        ],
        [
            column("Value #A", "result", mappings=ANSWERS, custom_cellOptions={"type": "color-background"}, links=links("__data.fields")),
            column("Value #B", "took", unit="s", decimals=3),
            column("Value #C", "status"),
            column("Value #D", "IP"),
            column("target", "target", links=links("__data.fields")),
        ],
        [],
    ),
    panel(
        "state-timeline", "Connectivity", "Whether the probes of each target succeeded, over time.", (0, 8, 24, 8),
        [query(f"{chosen('probe_success')}")],
        defaults={"mappings": ANSWERS, "custom": {"fillOpacity": 80, "lineWidth": 0}, "links": links("__field.labels")},
        options={"mergeValues": True, "showValue": "never", "rowHeight": 0.8},
    ),
    panel(
        "timeseries", "Scrapes of the exporter",
        "`up`: whether the scraper got a response from the exporter. Without one, the other panels show the last results for up to five minutes.",
        (0, 16, 24, 5),
        [
            query(f"sum({SCRAPES})", "A", "succeeded"),
            query(f"count({SCRAPES}) - sum({SCRAPES})", "B", "failed"),
        ],
        defaults={"min": 0, "decimals": 0},
        overrides=[
            {"matcher": {"id": "byName", "options": "succeeded"}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "green"}}]},
            {"matcher": {"id": "byName", "options": "failed"}, "properties": [{"id": "color", "value": {"mode": "fixed", "fixedColor": "red"}}]},
        ],
    ),
    panel(
        "timeseries", "Latency", "How long each probe took, all its phases together.", (0, 21, 12, 9),
        [query(f"{chosen('probe_duration_seconds')}")], "s", options=TABLE_LEGEND,
    ),
    panel(
        "timeseries", "Ping", "Round-trip time of ICMP probes.", (12, 21, 12, 9),
        [query(chosen("probe_icmp_duration_seconds", 'phase="rtt"'))], "s", options=TABLE_LEGEND,
    ),
    panel(
        "timeseries", "HTTP status codes", "The status of every response; 0 without a response.", (0, 30, 12, 9),
        [query(f"{chosen('probe_http_status_code')}")], options=TABLE_LEGEND,
        defaults={"custom": {"drawStyle": "points", "pointSize": 5}, "thresholds": steps("red", (200, "green"), (300, "blue"), (400, "orange"), (500, "red"))},
    ),
    panel(
        "timeseries", "HTTP phases", "Where the time of HTTP probes went, on average over the chosen targets.", (12, 30, 12, 9),
        [query(f"avg by (phase) ({chosen('probe_http_duration_seconds')})", legend="{{phase}}")], "s", options=TABLE_LEGEND,
        defaults={"custom": {"stacking": {"mode": "normal"}, "fillOpacity": 60, "lineWidth": 0}},
    ),
    table(
        "Certificates", "When the first certificate of each presented chain expires, also when it has.", (0, 39, 24, 8),
        [
            query(f"{line('probe_ssl_earliest_cert_expiry')} - time()", "A", table=True),
            query(f"max by (job, target, module, instance, version) ({chosen('probe_tls_version_info')})", "B", table=True),
            query(f"max by (job, target, module, instance, subject, issuer) ({chosen('probe_ssl_last_chain_info')})", "C", table=True),
        ],
        [column("Value #A", "expires in", unit="dtdurations", thresholds=steps("red", (0, "orange"), (14 * 86400, "green")), custom_cellOptions={"type": "color-text"})],
        ["Value #B", "Value #C"],
    ),
    panel(
        "timeseries", "Failures by reason", "Failed probes of the exporters that Prometheus scrapes, by reason; each reason is a section of docs/failures.md.",
        (0, 47, 24, 9),
        [query("sum by (reason) (rate(blackbox_exporter_probe_failures_total[5m]))", legend="{{reason}}")], "ops", options=TABLE_LEGEND,
        defaults={"min": 0, "custom": {"stacking": {"mode": "normal"}, "fillOpacity": 60, "lineWidth": 0}},
    ),
    panel(
        "timeseries", "Smoke: $pinged",
        "Shortest, mean and longest round trip of probes with several packets (icmp.count). One panel per target; several modules or exporters that ping it are one band.",
        (0, 56, 12, 9),
        [
            query(f"max({pinged('probe_icmp_duration_rtt_max_seconds')})", "A", "max"),
            query(
                "avg({} and ignoring(phase) {})".format(
                    pinged("probe_icmp_duration_seconds", 'phase="rtt"'), pinged("probe_icmp_duration_rtt_min_seconds"),
                ),
                "B", "mean",
            ),
            query(f"min({pinged('probe_icmp_duration_rtt_min_seconds')})", "C", "min"),
        ],
        "s", options=TABLE_LEGEND, defaults={"custom": {"fillOpacity": 0}},
        # The name of the other series: a refId or a pattern finds none, and then nothing is filled.
        overrides=[
            {"matcher": {"id": "byName", "options": "max"}, "properties": [{"id": "custom.fillBelowTo", "value": "min"}, {"id": "custom.fillOpacity", "value": 20}]},
        ],
        repeat="pinged", repeatDirection="h", maxPerRow=2,
    ),
]


def variable(name, title, label, metric="probe_success", chosen=""):
    """A choice among the values of a label."""
    return {
        "type": "query", "name": name, "label": title, "datasource": DATASOURCE,
        "query": {"query": f"label_values({metric}{chosen}, {label})", "refId": name},
        "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "allValue": ".*",
        "current": {"text": ["All"], "value": ["$__all"]},
    }


def hidden(name, expr):
    """The targets of a query, for panels that are repeated: a variable that nobody chooses."""
    return {
        "type": "query", "name": name, "hide": 2, "datasource": DATASOURCE,
        "query": {"query": f"query_result(count by (target) ({expr}))", "refId": name}, "regex": '/[{,]target="([^"]*)"/',
        "refresh": 2, "sort": 1, "multi": True, "includeAll": True, "current": {"text": ["All"], "value": ["$__all"]},
    }


def textbox(name, title, value):
    """A text that the user may change."""
    current = {"text": value, "value": value}
    return {"type": "textbox", "name": name, "label": title, "query": value, "current": current, "options": [{"selected": True, **current}]}


def dashboard(title, uid, rename, probed_by=""):
    """The whole dashboard, with every metric renamed; `probed_by` is the label that names the host that probes, which no link needs."""
    whole = {
        "title": title, "uid": uid, "tags": ["blackbox"], "editable": True, "schemaVersion": 39, "version": 1,
        "refresh": "30s", "time": {"from": "now-1h", "to": "now"}, "timezone": "browser",
        "templating": {
            "list": [
                {"type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus"},
                variable("job", "Job", "job"),
                variable("module", "Module", "module", chosen='{job=~"$job"}'),
                variable("target", "Target", "target", chosen='{job=~"$job", module=~"$module"}'),
                variable("instance", "Instance", "instance", chosen='{job=~"$job", module=~"$module", target=~"$target"}'),
                hidden("pinged", chosen("probe_icmp_duration_rtt_min_seconds")),
                textbox("exporter", "Exporter", "http://localhost:9115"),
            ]
        },
        "panels": [{"id": number, **each} for number, each in enumerate(PANELS, 1)],
    }
    text = json.dumps(whole, indent=2, ensure_ascii=False)
    if probed_by:
        text = re.sub(rf"&{probed_by}=\$\{{[^}}]*\}}", "", text)
    return re.sub(r"\b(probe_[a-z_]+|blackbox_exporter_probe_[a-z_]+|up(?={))\b", lambda name: rename(name[0]), text) + "\n"


FILES = {
    "blackbox.json": dashboard("Blackbox exporter", "blackbox", lambda name: name),
    "blackbox-deepflow.json": dashboard("Blackbox exporter (DeepFlow)", "blackbox-deepflow", lambda name: "prometheus__samples__" + name, probed_by="instance"),
}

stale = []
for name, text in FILES.items():
    path = os.path.join(HERE, "dashboards", name)
    if "--check" not in sys.argv:
        open(path, "w").write(text)
    elif not os.path.exists(path) or open(path).read() != text:
        stale.append(name)
if stale:
    sys.exit(f"run examples/grafana/build.py: not up to date: {', '.join(stale)}")
