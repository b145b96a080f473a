"""Request headers that are responded to before an endpoint sees them. Recorded from upstream with run.py --record."""
import socket

from around import BASIC, lines
from harness import script

HOST = "Host: h"


def ask(e, first, *headers):
    """Status, content type and body of what these lines are answered with."""
    with socket.create_connection(("127.0.0.1", e.port), 5) as s:
        s.sendall("\r\n".join([first + " HTTP/1.1", *headers, "Connection: close", "", ""]).encode("latin1"))
        data = b""
        while chunk := s.recv(65536): data += chunk
    head, _, body = data.decode("latin1").partition("\r\n\r\n")
    kind = [line.partition(": ")[2] for line in head.split("\r\n") if line.lower().startswith("content-type:")]
    return f"{first} {' '.join(headers)} -> {head.split()[1]} {''.join(kind)} {body if len(body) < 60 else ''}".strip()


@script("heads/host", about="one Host header, and a good one")
def _(lab):
    e = lab.start(BASIC)
    return lines(*[ask(e, "GET /-/healthy", *hosts) for hosts in ([], [HOST], [HOST, HOST], ["Host:"], ["Host: a b"], ["Host: a/b"], ["Host: a:b:c"], ["Host: \xe9"])])


@script("heads/expect", about="nothing but 100-continue can be expected")
def _(lab):
    e = lab.start(BASIC)
    return lines(*[ask(e, "GET /-/healthy", HOST, "Expect: " + value) for value in ("100-continue", "100-Continue", "x, 100-continue", "more", "")],
                 ask(e, "GET //", HOST, "Expect: more"), ask(e, "GET /probe?module=nope", HOST, "Expect: more"))


@script("heads/path-escapes", about="broken escapes of a path are refused, those of a query are not")
def _(lab):
    e = lab.start(BASIC)
    return lines(*[ask(e, "GET " + path, HOST) for path in ("/%", "/%4", "/%zz", "/-/healthy%", "/-/health%79", "/-/healthy?%zz")])


@script("heads/redirect-types", about="the type of a redirect's page, by method")
def _(lab):
    e = lab.start(BASIC)
    return lines(*[ask(e, method + " //metrics", HOST) for method in ("GET", "HEAD", "POST", "PUT", "OPTIONS")])
