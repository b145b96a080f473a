"""The http prober: bodies that do not begin as gzip, and CONNECT. Recorded from upstream with run.py --record."""
import re
import struct
import zlib

from around import lines
from harness import *
from http2 import http2

JSON = b'{"a": 1}'
GZIP_HEAD = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
NOT_JUDGED = "fail_if_body_not_matches_regexp: [never]\nfail_if_body_json_not_matches_cel: body.a == 2"


def answer(body, *headers, status="200 OK"):
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
    return raw("\r\n".join(lines).encode() + body)


# Without a head of gzip the probe fails, and neither expressions nor CEL are asked.
for name, about, body in [
    ("text", "text instead", JSON),
    ("empty", "nothing", b""),
    ("cut", "it ends within the head", GZIP_HEAD[:9]),
    ("cut-in-name", "it ends within the name", GZIP_HEAD[:3] + b"\x08" + GZIP_HEAD[4:] + b"name"),
    ("method", "another method", b"\x1f\x8b\x07" + GZIP_HEAD[3:] + JSON),
    ("head-sum", "a wrong sum of the head", GZIP_HEAD[:3] + b"\x02" + GZIP_HEAD[4:] + b"\0\0" + JSON),
    ("long", "what follows the first piece is counted as it comes", b"x" * 20000),
]:
    http_case("http-more/gzip-head-" + name, about, "compression: gzip\n" + NOT_JUDGED, peer=answer(body), show=("metrics",))
for name, about, peer, more in [
    ("chunked", "in chunks", raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n" + JSON + b"\r\n0\r\n\r\n"), ""),
    ("header", "a header that fails before it", answer(JSON, "X-A: one"), "fail_if_header_matches: [{header: X-A, regexp: one}]\n"),
    ("limit", "and a limit for what follows", answer(b"x" * 20000), "body_size_limit: 1KB\n"),
    ("http-head", "HEAD", answer(b"", "Content-Encoding: gzip"), "method: HEAD\n"),
    ("404", "with a wrong status", answer(JSON, status="404 Not Found"), ""),
    ("unfollowed", "a redirect that is not followed", answer(b"", "Location: /", status="302 Found"), "follow_redirects: false\nvalid_status_codes: [302]\n"),
]:
    http_case("http-more/gzip-head-" + name, about, more + "compression: gzip\n" + NOT_JUDGED, peer=peer, show=("metrics",))
http_case("http-more/gzip-body-broken", "a good head, then nonsense: that is the expressions' fault", "compression: gzip\n" + NOT_JUDGED, peer=answer(GZIP_HEAD + b"\x07nonsense"), show=("metrics",))

# CONNECT asks for host and port where there is no path.
for name, about, target, more in [
    ("no-path", "host and port", "http://127.0.0.1:{port}", ""),
    ("query", "the query is not sent", "http://127.0.0.1:{port}?x=1", ""),
    ("host", "the Host of the module", "http://127.0.0.1:{port}", "headers: {Host: 'other.test:1'}\n"),
    ("path", "a path is sent", "http://127.0.0.1:{port}/", ""),
    ("body", "with a body", "http://127.0.0.1:{port}", "body: data\n"),
]:
    http_case("http-more/connect-" + name, about, more + "method: CONNECT", target=target)
TRUST = "tls_config: {ca_file: '{certs}/root.pem'}\n"
for name, target in [("", "https://v4.test:{port}"), ("-path", "https://v4.test:{port}/a?b")]:
    peer = http2(lambda h2, stream, *_: h2.answer(stream, "200", [], b"ok"))
    http_case("http-more/connect-http2" + name, "neither path nor scheme", TRUST + "method: CONNECT", peer=peer, target=target, settle=1)

http_case("http-more/no-time-left", "the offset takes all of the scraper's time: nobody is asked", headers={"X-Prometheus-Scrape-Timeout-Seconds": "0.5"}, settle=1)


def told(lab, modules, target):
    """What the log says of a probe of each module, at debug."""
    config = "modules:\n" + "".join(f"  {name}: {section}\n" for name, section in modules.items())
    e = lab.start(config, args=["--log.prober=debug"])
    out = []
    for name in modules:
        body = e.request(f"/probe?debug=true&module={name}&target={lab.fill(target)}")[2].decode()
        logs = body.partition("\n\n\nMetrics that would")[0]
        messages = re.findall(r'level=(\w+) .*?msg=("[^"]*"|\S+)', logs)
        out += [name, *(f"  {level} {message}" for level, message in messages if "timings" not in message)]
    return lines(*out)


def http_module(more):
    return "{prober: http, timeout: 2s, http: {preferred_ip_protocol: ip4, %s}}" % more


BROKEN = {name: http_module("compression: " + name) for name in ("gzip", "deflate", "br", "identity")}
for name, about, body in [
    ("text", "no compression at all", b"Hello, hello!"),
    ("data", "a good head of gzip, then nonsense", GZIP_HEAD + b"\x07nonsense"),
    ("head", "a head of gzip alone", GZIP_HEAD),
    ("sum", "a wrong sum behind the data", GZIP_HEAD + b"\x03\0" + b"\1\0\0\0" + b"\0\0\0\0"),
    ("nothing", "nothing", b""),
]:
    @script("http-more/told-broken-" + name, about="what the log says of it: " + about, peers={"port": answer(body)})
    def _(lab):
        return told(lab, BROKEN, "127.0.0.1:{port}")


def deflated(text):
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(text) + packer.flush()


LIMITED = {name: http_module(f"compression: {name}, body_size_limit: 10B") for name in ("gzip", "deflate")}
TEXT, LONG = b"Hello, hello! And more that is behind the limit.", bytes(range(256)) * 300
for name, about, text, end in [
    ("whole", "nothing is wrong", TEXT, lambda data: data),
    ("cut", "it ends early", TEXT, lambda data: data[:-5]),
    ("far", "it ends early, long after", LONG, lambda data: data[:-5]),
    ("corrupt", "a block of no kind", TEXT, lambda data: b"\0" + struct.pack("<HH", len(TEXT), 0xFFFF ^ len(TEXT)) + TEXT + b"\x07"),
    ("corrupt-far", "a block of no kind, just after upstream's window", TEXT, lambda data: b"\0" + struct.pack("<HH", 32768, 0xFFFF ^ 32768) + bytes(32768) + b"\x07"),
    ("corrupt-near", "a block of no kind, just within upstream's window", TEXT, lambda data: b"\0" + struct.pack("<HH", 32767, 0xFFFF ^ 32767) + bytes(32767) + b"\x07"),
    ("sum", "no sum of gzip", TEXT, lambda data: data),
]:
    body = end(deflated(text))
    @script("http-more/told-limit-" + name, about="what the log says where a limit ends reading: " + about, peers={"gzip": answer(GZIP_HEAD + body + (b"" if name == "sum" else struct.pack("<II", zlib.crc32(text), len(text)))), "deflate": answer(body)})
    def _(lab):
        return told(lab, {"gzip": LIMITED["gzip"]}, "127.0.0.1:{gzip}") + told(lab, {"deflate": LIMITED["deflate"]}, "127.0.0.1:{deflate}")


@script("http-more/told-bytes-fewer", about="what the log says of fewer bytes than expected", peers={"port": lambda conn: conn.send(b"XY")})
def _(lab):
    module = "{prober: tcp, timeout: 2s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect_bytes: PONG}]}}"
    return told(lab, {"tcp": module}, "127.0.0.1:{port}")
