"""Modules of which only the name is written, and targets, names and modules that are not UTF-8."""
import re

from around import answer, lines, metrics, samples
from harness import case, http_case, script

MODULES = """
modules:
  http: {prober: http, http: {preferred_ip_protocol: ip4}}
  tcp: {prober: tcp}
  dns: {prober: dns, dns: {query_name: a.test}}
  icmp: {prober: icmp}
  unix: {prober: unix}
  grpc: {prober: grpc, grpc: {ip_protocol_fallback: true}}
  websocket: {prober: websocket}
  hosted: {prober: http, http: {headers: {Host: a.test}}}
"""
UNWRITTEN = """
modules:
  nothing:
  tilde: ~
  tagged: !!null ''
"""


@script("targets/module-unwritten", about="a module of which only the name is written loads, and has no prober")
def _(lab):
    e = lab.start(UNWRITTEN)
    soon = {"X-Prometheus-Scrape-Timeout-Seconds": "soon"}
    asked = [f"/probe?module={name}&target=x" for name in ("nothing", "tilde", "tagged")]
    return lines(
        *[answer(e, path, "content-type") for path in asked],
        answer(e, "/probe?module=nothing"),
        answer(e, "/probe?module=nothing", headers=soon),
        answer(e, "/probe?module=nothing&target=x&hostname=a&debug=true"),
        metrics(e, "blackbox_module_unknown_total"),
        answer(e, "/config"),
    )


http_case("targets/bytes-path-query", "bytes of the path are escaped, those of the query sent as they are",
          target="http://127.0.0.1:{port}/a%ffb/%c3%a4?c=%fe&d=%f4%8f%b7%bf")
http_case("targets/bytes-fragment", "a fragment is not sent", target="127.0.0.1:{port}/#%ff")
http_case("targets/bytes-host", "names no host", target="http://a%ff.test:{port}/")
case("targets/bytes-websocket", module="prober: websocket\ntimeout: 2s\nwebsocket:\n  preferred_ip_protocol: ip4",
     target="ws://127.0.0.1:{port}/%ff", about="escaped in the path", peers={"port": lambda conn: conn.read_line()})


def names_its_host(conn):
    host = conn.read_request()[1]["host"]
    conn.send(f"HTTP/1.1 200 OK\r\nContent-Length: {len(host)}\r\nConnection: close\r\n\r\n{host}")


@script("targets/bytes-hostname", about="a Host header is punycode of U+FFFD", peers={"port": names_its_host})
def _(lab):
    e = lab.start("modules: {m: {prober: http, http: {fail_if_body_not_matches_regexp: ['^xn--a-q10i.test:80$']}}}")
    got = samples(e.request(lab.fill("/probe?module=m&target=127.0.0.1:{port}&hostname=a%ff.test:80"))[2].decode())
    return lines(got["probe_success"], got["probe_failed_due_to_regex"], got["probe_http_content_length"])


def told(e, query):
    """What the log says of the probe: its target, and every error."""
    _, _, body = e.request("/probe?debug=true&" + query)
    log = re.findall(r"^time=.*? msg=(.*)$", body.decode(errors="backslashreplace"), re.M)
    kept = [line for line in log if re.match(r'"(Beginning|Error|Resolution)', line)]
    return [query] + ["  " + re.sub(r" (probe|timeout_seconds|ip_protocol)=\S+", "", line) for line in kept]


@script("targets/bytes-in-errors", about="logs show the bytes")
def _(lab):
    e = lab.start(MODULES, args=["--log.prober=debug"])
    queries = [
        "module=http&target=%ff.test", "module=http&target=http://a%ff:80/", "module=tcp&target=%ff", "module=tcp&target=%ff:80",
        "module=tcp&target=%25ff:80", "module=dns&target=%ff", "module=icmp&target=%ff%c3", "module=unix&target=/nowhere/%ff",
        "module=grpc&target=%ff:80", "module=websocket&target=ws://%ff/", "module=tcp&target=%f4%8f%b7%bf",
    ]
    return lines(*[line for query in queries for line in told(e, query)])


@script("targets/bytes-in-json", about="JSON logs replace the bytes")
def _(lab):
    e = lab.start(MODULES, args=["--log.prober=debug", "--log.format=json"])
    _, _, body = e.request("/probe?debug=true&module=tcp&target=%ff%ef%bf%bd")
    return lines(*re.findall(r'"target":.*?[,}]', body.decode(errors="backslashreplace")))


@script("targets/bytes-elsewhere", about="module, hostname and history")
def _(lab):
    e = lab.start(MODULES)
    e.request("/probe?module=tcp&target=%ff")
    e.request("/probe?module=tcp&target=%fe")
    found = lambda path: e.request(path)[0]
    _, _, conflict = e.request("/probe?module=hosted&target=127.0.0.1:1&hostname=%ff")
    _, _, shown = e.request("/probe?module=http&target=127.0.0.1:1&hostname=%ff&debug=true")
    return lines(
        answer(e, "/probe?module=a%ff%c3%a4&target=x"),
        conflict,
        re.findall(rb"Host: .*", shown)[:1],
        found("/logs?target=%fe"), found("/logs?target=%ff&module=tcp"), found("/logs?target=%fd"), found("/logs?target=%ef%bf%bd"),
        re.findall(rb"<td>tcp</td><td>(.*?)</td>", e.request("/")[2]),
    )
