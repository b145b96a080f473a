"""Names of labels that are more than letters, digits and underscores. Recorded from upstream with run.py --record."""
from around import lines, raw_get
from harness import script

MODULE = """
modules:
  m:
    prober: tcp
    timeout: 2s
    tcp:
      query_response:
        - expect: '^220 (.*)$'
          labels: [{name: x-y, value: '$1'}, {name: a_b__c, value: b}, {name: a.b_c, value: c}, {name: 1x, value: d}, {name: é, value: e}, {name: 'q"q\\', value: f}]
"""


def greets(conn):
    conn.send("220 ready\n")
    conn.read_rest(0.2)


def info(body): return [line for line in body.decode().splitlines() if line.startswith("probe_expect_info")]


@script("labels/escaping-text", about="a scraper gets them in the form that it asks for", peers={"port": greets})
def _(lab):
    e, path = lab.start(MODULE), lab.fill("/probe?module=m&target=127.0.0.1:{port}")
    out = []
    for accept in (
        "", "text/plain", "text/plain;version=0.0.4;escaping=allow-utf-8", "text/plain;version=1.0.0;escaping=allow-utf-8", "text/plain;escaping=underscores",
        "text/plain;escaping=dots", "text/plain;escaping=values", "text/plain;escaping=other", "*/*;escaping=allow-utf-8",
    ):
        status, headers, body = raw_get(e, path, {"Accept": accept} if accept else {})
        out += [f"{accept!r} -> {status} {headers['content-type']}", *info(body)]
    return lines(*out)


@script("labels/escaping-binary", about="also in binary families", peers={"port": greets})
def _(lab):
    e, path = lab.start(MODULE), lab.fill("/probe?module=m&target=127.0.0.1:{port}")
    out = []
    for scheme in ("allow-utf-8", "underscores", "dots", "values"):
        accept = f"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;escaping={scheme}"
        body = raw_get(e, path, {"Accept": accept})[2]
        start = body.index(b"probe_expect_info")
        out.append(f"{scheme} {body[start:body.index(b'probe_failed', start)]}")
    return lines(*out)


@script("labels/escaping-debug", about="the debug output has them as they are", peers={"port": greets})
def _(lab):
    path = lab.fill("/probe?module=m&target=127.0.0.1:{port}&debug=true")
    return lines(*info(lab.start(MODULE).request(path)[2]))
