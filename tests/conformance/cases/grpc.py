"""gRPC health checks: what upstream reports about every kind of peer. Recorded from it with run.py --record."""
import struct, sys, textwrap, time
from harness import *
from http2 import *

HEALTHY = b"\x08\x01"

def framed(message, flag=0): return bytes([flag]) + struct.pack("!I", len(message)) + message

def plain(act):
    """A handler: h2c, then act(h2, stream, headers, body) for one request. The client's software is not part of a case."""
    def handler(conn):
        h2 = Http2(conn); begin(h2, act)
    return handler

def secure(act, cert="leaf", alpn=("h2",), **kw):
    def handler(conn):
        conn.start_tls(cert, alpn=list(alpn) or None, **kw); begin(Http2(conn), act)
    return handler

def begin(h2, act):
    stream, headers, body = h2.request()
    h2.conn.log[:] = [line for line in h2.conn.log if not line.startswith("  user-agent: ")]
    act(h2, stream, headers, body); h2.linger()

def answer(message=HEALTHY, status="0", flag=0, headers=(), trailers=(), http="200", kind="application/grpc", raw=None, split=False):
    """A whole answer: headers, a message, trailers."""
    def act(h2, stream, *_):
        h2.headers(stream, [(":status", http), *([("content-type", kind)] if kind else []), *headers])
        data = raw if raw is not None else framed(message, flag) if message is not None else b""
        for piece in ([data[i:i + 1] for i in range(len(data))] if split else [data] if data else []): h2.data(stream, piece, end=False)
        h2.headers(stream, [*([("grpc-status", status)] if status is not None else []), *trailers], end=True)
    return act

def only(status, *more, kind="application/grpc", http="200"):
    """Trailers only."""
    def act(h2, stream, *_): h2.headers(stream, [(":status", http), *([("content-type", kind)] if kind else []), *([("grpc-status", status)] if status is not None else []), *more], end=True)
    return act

def grpc(name, about, peer=None, more="", target="127.0.0.1:{port}", timeout="3s", host="127.0.0.1", **kw):
    """`more` goes into the grpc section."""
    module = f"prober: grpc\ntimeout: {timeout}\ngrpc:\n  preferred_ip_protocol: ip4\n" + textwrap.indent(textwrap.dedent(more).strip("\n"), "  ")
    return case("grpc/" + name, about=about, target=target, peers={"port": at(peer or plain(answer()), host=host)}, module=module, **{"show": ("metrics",), **kw})

# ---------------------------------------------------------------------------------------- what is said
R = {"show": ("metrics", "received")}
grpc("serving", "a healthy server", **R)
grpc("service", "a service by name", more="service: my.Service", **R)
grpc("metadata", "metadata goes out as headers", more="metadata: {authorization: [Bearer x], a: ['1', '2'], trace-bin: [abc], x_y.z: ['']}", **R)
grpc("metadata-reserved", "names that gRPC keeps", more="metadata: {te: [gzip], grpc-timeout: [1S], content-type: [text/plain], ':path': [/x], ok: ['1']}", **R)
grpc("metadata-upper-case", "an upper-case name fails the call", more="metadata: {Authorization: [x]}")
grpc("metadata-not-ascii", "a value that is not ASCII fails the call", more="metadata: {a: [ü]}")
grpc("metadata-empty-key", "an empty name fails the call", more="metadata: {'': [x]}")
for status, word in ((0, "unknown"), (2, "not-serving"), (3, "service-unknown"), (7, "unnamed")):
    grpc("status-" + word, "the state " + word, plain(answer(bytes([8, status]) if status else b"")))
for code in (*range(1, 17), 17, 99): grpc(f"code-{code}", f"trailers only, status {code}", plain(only(str(code), ("grpc-message", "because of %C3%BC"))))
grpc("code-after-message", "an error after a message", plain(answer(status="5")))
grpc("code-in-trailers", "an error in trailers without a message", plain(answer(None, status="7")))
for value, word in (("", "empty"), ("abc", "word"), ("-1", "negative"), ("+5", "sign"), ("005", "zeros"), ("2147483648", "too-big"), ("1.0", "fraction")):
    grpc("code-text-" + word, f"grpc-status {value!r}", plain(only(value)))
grpc("code-missing", "trailers only without a status", plain(only(None)))
grpc("code-missing-in-trailers", "trailers without a status", plain(answer(status=None)))
grpc("code-ok-trailers-only", "status 0 but no message", plain(only("0")))
grpc("code-ok-no-message", "status 0 in trailers but no message", plain(answer(None)))
grpc("code-in-headers", "a status in the headers of an answer with trailers does not count", plain(answer(headers=[("grpc-status", "5")])))
grpc("details", "details that agree", plain(only("5", ("grpc-status-details-bin", "CAU"))))
grpc("details-disagree", "details with another code", plain(only("5", ("grpc-status-details-bin", "CAY"))))
grpc("details-padded", "details with padding", plain(only("5", ("grpc-status-details-bin", "CAU="))))
grpc("binary-header-broken", "a binary header that is no base64", plain(answer(headers=[("x-bin", "?")])))
grpc("binary-trailer-broken", "a binary trailer that is no base64", plain(answer(trailers=[("x-bin", "?")])))

# ------------------------------------------------------------------------------------------- messages
grpc("message-pieces", "a message an octet at a time", plain(answer(split=True)))
grpc("message-unknown-fields", "fields nobody knows", plain(answer(b"\x12\x03abc\x08\x01\x1d\0\0\0\0")))
grpc("message-twice-the-field", "the last value counts", plain(answer(b"\x08\x02\x08\x01")))
grpc("message-wrong-type", "the field as a string is unknown", plain(answer(b"\x0a\x01\x01")))
grpc("message-broken", "no protobuf", plain(answer(b"\x08")))
grpc("message-broken-tag", "field number 0", plain(answer(b"\x00\x01")))
grpc("message-huge-enum", "an enum of 64 bits", plain(answer(b"\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")))
grpc("message-two", "two messages", plain(answer(raw=framed(HEALTHY) * 2)))
grpc("message-half", "half a message", plain(answer(raw=framed(HEALTHY)[:-1])))
grpc("message-half-header", "half a header of a message", plain(answer(raw=b"\0\0\0")))
grpc("message-half-header-error", "half a header of a message and an error: the error counts", plain(answer(raw=b"\0\0\0", status="5")))
grpc("message-half-header-odd-status", "half a header and a status that is none", plain(answer(raw=b"\0\0\0", status="x")))
grpc("message-half-header-behind", "half a header behind a message is no matter", plain(answer(raw=framed(HEALTHY) + b"\0\0")))
grpc("message-half-odd-status", "half a message and a status that is none", plain(answer(raw=framed(HEALTHY)[:-1], status="x")))
grpc("message-half-behind", "half a message behind a message", plain(answer(raw=framed(HEALTHY) + framed(HEALTHY)[:-1])))
grpc("message-half-error", "half a message and an error", plain(answer(raw=framed(HEALTHY)[:-1], status="5")))
grpc("message-compressed", "compressed without an encoding", plain(answer(flag=1)))
grpc("message-compressed-gzip", "compressed with gzip", plain(answer(flag=1, headers=[("grpc-encoding", "gzip")])))
grpc("message-encoding-unused", "an encoding but not compressed", plain(answer(headers=[("grpc-encoding", "gzip")])))
grpc("message-flag-2", "an unknown flag", plain(answer(flag=2)))
grpc("message-too-large", "longer than 4 MiB by its own word", plain(answer(raw=b"\0\x00\x40\x00\x01")))
grpc("message-large", "a megabyte", plain(answer(b"\x12\x80\x80\x40" + b"x" * (1 << 20) + HEALTHY)))

# ---------------------------------------------------------------------------------------- HTTP answers
for code in (200, 204, 301, 400, 401, 403, 404, 405, 429, 500, 502, 503, 504, 505):
    grpc(f"http-{code}", f"an HTTP answer {code}", plain(lambda h2, stream, *_, code=code: h2.answer(stream, str(code), [("content-type", "text/html")], b"" if code == 204 else b"<html>")))
grpc("http-500-grpc", "HTTP 500 that is gRPC", plain(answer(http="500")))
grpc("http-404-grpc-trailers-only", "HTTP 404 that is gRPC, trailers only", plain(only("5", http="404")))
grpc("http-no-content-type", "no content type", plain(answer(kind=None)))
grpc("http-100", "an interim answer first", plain(lambda h2, stream, *a: (h2.headers(stream, [(":status", "103"), ("link", "x")]), answer()(h2, stream, *a))))
for kind, word in (("application/grpc+proto", "proto"), ("application/grpc;charset=utf-8", "charset"), ("application/grpc-web", "web"), ("application/GRPC", "upper"), ("application/json", "json")):
    grpc("content-type-" + word, f"content type {kind}", plain(answer(kind=kind)))

# -------------------------------------------------------------------------------------- broken streams
def reset_with(code, after=False):
    def act(h2, stream, *_):
        if after: h2.headers(stream, [(":status", "200"), ("content-type", "application/grpc")]); h2.data(stream, framed(HEALTHY), end=False)
        h2.frame(RESET, 0, stream, struct.pack("!I", code))
    return act
for code in range(0, 15): grpc(f"reset-{code}", f"the stream reset with code {code}", plain(reset_with(code)))
grpc("reset-after-message", "reset behind a message", plain(reset_with(8, after=True)))
def refused_once(h2, stream, *_):
    h2.frame(RESET, 0, stream, struct.pack("!I", 7)); stream, headers, body = h2.request(); h2.conn.log.clear(); answer()(h2, stream, headers, body)
grpc("reset-refused-once", "refused at first, then answered", plain(refused_once))
grpc("end-without-trailers", "data ends the stream", plain(lambda h2, stream, *_: (h2.headers(stream, [(":status", "200"), ("content-type", "application/grpc")]), h2.data(stream, framed(HEALTHY)))))
grpc("end-without-message-or-trailers", "an empty frame ends the stream", plain(lambda h2, stream, *_: (h2.headers(stream, [(":status", "200"), ("content-type", "application/grpc")]), h2.frame(DATA, 1, stream))))
def at_once(h2, stream, *_):
    """Headers and the empty last frame in one piece."""
    block = pack([(":status", "200"), ("content-type", "application/grpc")])
    h2.conn.send(len(block).to_bytes(3, "big") + bytes([HEADERS, 4]) + struct.pack("!I", stream) + block + bytes([0, 0, 0, DATA, 1]) + struct.pack("!I", stream))
grpc("end-without-message-or-trailers-at-once", "the same in one piece", plain(at_once))
def answer_at_once(h2, stream, *_):
    frames = [(HEADERS, 4, pack([(":status", "200"), ("content-type", "application/grpc")])), (DATA, 0, framed(HEALTHY)), (HEADERS, 5, pack([("grpc-status", "0")]))]
    h2.conn.send(b"".join(len(data).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack("!I", stream) + data for kind, flags, data in frames))
grpc("answer-at-once", "a whole answer in one piece", plain(answer_at_once))
grpc("message-padded", "padded data", plain(lambda h2, stream, *_: (h2.headers(stream, [(":status", "200"), ("content-type", "application/grpc")]), h2.frame(DATA, 8, stream, b"\x05" + framed(HEALTHY) + b"\0" * 5), h2.headers(stream, [("grpc-status", "0")], end=True))))
grpc("code-twice", "two statuses: the last one counts", plain(only("5", ("grpc-status", "7"))))
grpc("headers-large", "sixty kilobytes of headers", plain(answer(headers=[(f"x-{i}", "v" * 1000) for i in range(15)])))
grpc("closed-after-request", "closed without an answer", plain(lambda h2, *_: h2.conn.sock.close()))
grpc("closed-after-message", "closed behind a message", plain(lambda h2, stream, *_: (h2.headers(stream, [(":status", "200"), ("content-type", "application/grpc")]), h2.data(stream, framed(HEALTHY), end=False), h2.conn.sock.close())))
grpc("headers-in-the-middle", "headers within the stream", plain(lambda h2, stream, *_: (h2.headers(stream, [(":status", "200"), ("content-type", "application/grpc")]), h2.headers(stream, [("grpc-status", "0")]))))
grpc("goaway-later", "a farewell that includes the call", plain(lambda h2, stream, *a: (h2.frame(GOAWAY, 0, 0, struct.pack("!II", stream, 0)), answer()(h2, stream, *a))))
grpc("goaway-always", "a farewell that excludes the call, on every connection", plain(lambda h2, *_: h2.frame(GOAWAY, 0, 0, struct.pack("!II", 0, 0))))
grpc("ping", "a ping before the answer", plain(lambda h2, stream, *a: (h2.frame(PING, 0, 0, b"12345678"), answer()(h2, stream, *a))))
def not_settings(frame):
    def handler(conn):
        conn.send(frame); begin(Http2(conn), answer())
    return handler
grpc("ping-before-settings", "a ping where the settings belong", not_settings(b"\0\0\x08\x06\0\0\0\0\0" + b"12345678"))
grpc("unknown-before-settings", "an unknown frame where the settings belong", not_settings(b"\0\0\1\x63\0\0\0\0\0x"))
grpc("http1", "a server of HTTP/1.1", lambda conn: (conn.read_exact(24), conn.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")))
grpc("garbage", "a server of something else", lambda conn: (conn.read_exact(24), conn.send("220 mail.test ESMTP\r\n"), conn.read_rest()))
grpc("closed-at-once", "closed before anything was said", lambda conn: None)
grpc("reset-at-once", "the connection reset", lambda conn: conn.reset())
grpc("refused", "nobody listens", target="127.0.0.1:2")

# ------------------------------------------------------------------------------------------------- TLS
CA = "tls: true\ntls_config: {ca_file: '{certs}/root.pem'}"
S = {"failed_without": "^probe_(ssl|tls)_"}
grpc("tls-serving", "TLS, the certificate checked against the target's name", secure(answer()), CA, target="v4.test:{port}", **R)
grpc("tls-by-address", "TLS by address", secure(answer()), CA, **R)
grpc("tls-server-name", "another server name", secure(answer()), "tls: true\ntls_config: {ca_file: '{certs}/root.pem', server_name: other.test}", **R)
grpc("tls-not-serving", "TLS, not serving: the certificate is exposed", secure(answer(b"\x08\x02")), CA, target="v4.test:{port}")
grpc("tls-code", "TLS, an error of the call", secure(only("12")), CA, target="v4.test:{port}")
grpc("tls-untrusted", "an authority unknown", secure(answer()), "tls: true", target="v4.test:{port}", **S)
grpc("tls-expired", "an expired certificate", secure(answer(), cert="expired"), CA, target="v4.test:{port}", **S)
grpc("tls-wrong-name", "a name that is not in the certificate", secure(answer()), "tls: true\ntls_config: {ca_file: '{certs}/root.pem', server_name: no.test}", **S)
grpc("tls-skip-verify", "unchecked", secure(answer(), cert="expired"), "tls: true\ntls_config: {insecure_skip_verify: true}", target="v4.test:{port}")
grpc("tls-no-alpn", "a server without ALPN", secure(answer(), alpn=()), CA, target="v4.test:{port}", **S)
grpc("tls-12", "TLS 1.2", secure(answer(), max_version="TLSv1_2"), CA, target="v4.test:{port}")
grpc("tls-client-certificate", "a client certificate asked for and given", secure(answer(), client_ca="root"), "tls: true\ntls_config: {ca_file: '{certs}/root.pem', cert_file: '{certs}/client.pem', key_file: '{certs}/client.key'}", target="v4.test:{port}", **R)
grpc("tls-plain-server", "TLS to a server without", plain(answer()), CA, target="v4.test:{port}")
grpc("plain-tls-server", "no TLS to a server with", secure(answer()), target="v4.test:{port}")
grpc("tls-no-ca-file", "a CA file that is not there", secure(answer()), "tls: true\ntls_config: {ca_file: /no/such/file}", target="v4.test:{port}")
grpc("tls-config-without-tls", "a CA file that is not there, without TLS", None, "tls_config: {ca_file: /no/such/file}")

# --------------------------------------------------------------------------------------------- targets
for name, about, target, options in [
    ("name", "a name", "v4.test:{port}", R), ("http", "a URL", "http://127.0.0.1:{port}", R), ("https", "https:// does not mean TLS", "https://127.0.0.1:{port}/path?x#y", R), ("user", "a user in the URL", "http://u:p@127.0.0.1:{port}", R), ("slash", "a slash behind it", "127.0.0.1:{port}/", R),
    ("upper-case", "the case of a name", "V4.Test:{port}", R), ("scheme", "another scheme", "grpc://127.0.0.1:{port}", {}), ("port-word", "a port by name", "127.0.0.1:http", {}), ("blank", "a blank", "127.0.0.1 :{port}", {}),
    ("nonexistent", "a name that does not exist", "no.such.name.test:{port}", {}), ("no-host", "no host", ":{port}", {}), ("brackets-no-port", "an IPv6 address without port", "[::1]", {}), ("dual", "both families, ip4 preferred", "dual.test:{port}", {}),
]: grpc("target-" + name, about, target=target, **options)
grpc("default-port", "no port means 80", target="127.0.0.1")
grpc("v6-name", "a name with an IPv6 address", more="", target="v6.test:{port}", host="::1")
case("grpc/no-section", about="no grpc section at all", target="127.0.0.1:{port}", peers={"port": plain(answer())}, module="prober: grpc\ntimeout: 3s", show=("metrics",))
