"""The websocket prober: targets, headers, authentication, the upgrade, frames, TLS."""
import base64
import hashlib
import json
import re
import struct
import textwrap
import time

from harness import at, case, dns_name, os, socket, TMP  # noqa: F401

FACTS = r"^probe_(ssl|tls)_"
SECOND = {"probe_duration_seconds": (0.9, 2.4)}


def frame(payload, opcode=1, fin=True, rsv=0, mask=None, length=None):
    """A frame as a server sends it; `length` may lie."""
    data = payload.encode() if isinstance(payload, str) else payload
    n = len(data) if length is None else length
    bits = (0x80 if fin else 0) | rsv | opcode
    masked = 0x80 if mask else 0
    if n < 126:
        head = struct.pack("!BB", bits, masked | n)
    elif n < 65536:
        head = struct.pack("!BBH", bits, masked | 126, n)
    else:
        head = struct.pack("!BBQ", bits, masked | 127, n)
    if mask:
        return head + mask + bytes(b ^ mask[i % 4] for i, b in enumerate(data))
    return head + data


def closing(code=None, text=""):
    return frame(b"" if code is None else struct.pack("!H", code) + (text.encode() if isinstance(text, str) else text), 8)


def read_frame(conn):
    """Reads a frame of the client and notes what is in it."""
    first, second = conn.read_exact(2)
    n = second & 0x7F
    if n == 126:
        n = struct.unpack("!H", conn.read_exact(2))[0]
    elif n == 127:
        n = struct.unpack("!Q", conn.read_exact(8))[0]
    key = conn.read_exact(4) if second & 0x80 else b"\0\0\0\0"
    data = bytes(b ^ key[i % 4] for i, b in enumerate(conn.read_exact(n)))
    shown = repr(data)[1:] if n < 100 else f"{n} bytes"
    conn.note(f"frame opcode {first & 15} fin {first >> 7} masked {second >> 7} {shown}")


def hold(conn):
    """Notes frames until the client ends the connection."""
    try:
        while True:
            read_frame(conn)
    except (EOFError, OSError):
        pass


def request(conn):
    """Reads the upgrade request; the key is random and not logged."""
    first, headers, _ = conn.read_request()
    conn.log[:] = [re.sub(r"(sec-websocket-key: ).*", r"\1KEY", line) for line in conn.log]
    return headers


def accept(headers):
    text = headers.get("sec-websocket-key", "") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
    return base64.b64encode(hashlib.sha1(text.encode()).digest()).decode()


READ, CLOSE, RESET = object(), object(), object()


def play(conn, moves):
    for m in moves:
        if m is READ:
            read_frame(conn)
        elif m is CLOSE:
            return
        elif m is RESET:
            return conn.reset()
        elif isinstance(m, float):
            time.sleep(m)
        elif callable(m):
            m(conn)
        else:
            conn.send(m)
    hold(conn)


def server(*moves, answer=None, tls=None, tls_options=None):
    """Upgrades (or gives `answer`, where {accept} stands for the right value), then plays the moves."""
    text = answer or "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"

    def handler(conn):
        if tls:
            conn.start_tls(tls, **(tls_options or {}))
        headers = request(conn)
        data = text if isinstance(text, bytes) else text.replace("{accept}", accept(headers)).encode()
        if moves and isinstance(moves[0], bytes):
            conn.send(data + moves[0])
            return play(conn, moves[1:])
        conn.send(data)
        play(conn, moves)

    return handler


def ws(name, about, *moves, steps=None, section="", target="ws://127.0.0.1:{port}/", timeout="2s", peer=None, answer=None, tls=None, tls_options=None, **kw):
    steps = "" if steps is None else "query_response: " + json.dumps(steps, ensure_ascii=False)
    body = "\n".join(x for x in ("preferred_ip_protocol: ip4", section, steps) if x)
    peers = {} if peer is False else {"port": peer or server(*moves, answer=answer, tls=tls, tls_options=tls_options)}
    case(
        "websocket/" + name, about=about, peers=peers, target=target, settle=2, **kw,
        module=f"prober: websocket\ntimeout: {timeout}\nwebsocket:\n" + textwrap.indent(body, "  "),
    )


def E(regexp, **kw):
    return {"expect": regexp, **kw}


def S(text, **kw):
    return {"send": text, **kw}


# ------------------------------------------------------------------ targets
ws("connect", "an upgrade and nothing more")
ws("connect-banner-unread", "a message that nobody waits for", frame("hello"))
ws("connect-refused", "nobody listens", target="ws://127.0.0.1:1/", peer=False)
ws("connect-black-hole", "no answer to the connection", target="ws://198.51.100.7:80/", peer=False, timeout="1s", bounds=SECOND)
for name, target in {
    "path-query": "ws://127.0.0.1:{port}/a/b?c=d&e", "no-path": "ws://127.0.0.1:{port}", "query-only": "ws://127.0.0.1:{port}?x", "fragment": "ws://127.0.0.1:{port}/a#b", "escapes": "ws://127.0.0.1:{port}/a%2Fb%20c/é", "dots": "ws://127.0.0.1:{port}/a/../b/./c", "upper-scheme": "WS://127.0.0.1:{port}/", "name": "ws://v4.test:{port}/x",
    "name-upper": "ws://V4.Test:{port}/x", "name-dot": "ws://v4.test.:{port}/", "six": "ws://[::1]:{port}/", "six-zone": "ws://[::1%25lo]:{port}/", "idn": "ws://bücher.test:{port}/", "http": "http://127.0.0.1:{port}/", "https": "https://127.0.0.1:{port}/", "no-scheme": "127.0.0.1:{port}", "no-scheme-name": "v4.test/x", "localhost-port": "localhost:{port}", "user": "ws://ann@127.0.0.1:{port}/", "user-password": "ws://ann:secret@127.0.0.1:{port}/",
    "empty-port": "ws://127.0.0.1:/", "port-name": "ws://127.0.0.1:http/", "port-65536": "ws://127.0.0.1:65536/", "port-leading-zero": "ws://127.0.0.1:0{port}/", "no-host": "ws:///x", "opaque": "ws:127.0.0.1", "space": "ws://127.0.0.1:{port}/a b", "bad-escape": "ws://127.0.0.1:{port}/%zz", "unknown-name": "ws://unheard.test:{port}/", "control": "ws://127.0.0.1:{port}/\x01", "six-bare": "ws://::1:{port}/", "double-slash": "ws://127.0.0.1:{port}//x", "wss-to-plain": "wss://127.0.0.1:{port}/",
}.items():
    ws("target-" + name, "the target " + target.replace("{port}", "PORT"), target=target, peer=at(server(), host="::") if name.startswith("six") else None)
# `::` is this machine: without anyone on IPv6, IPv4 is tried.
for name, host in (("four", "127.0.0.1"), ("six", "::1")):
    ws("target-unspecified-" + name, f"[::], where {host} listens", target="ws://[::]:{port}/", peer=at(server(), host=host))
ws("target-unspecified-zone", "[::] with a zone", target="ws://[::%25lo]:{port}/")
ws("target-unspecified-refused", "[::], where nobody listens", target="ws://[::]:1/", peer=False)
ws("target-default-port", "port 80 when none is given", target="ws://127.0.0.1/", peer=False)
for prefer in ("ip4", "ip6"):
    for fallback in ("true", "false"):
        case(
            f"websocket/address-dual-{prefer}-{fallback}", about="which address", peers={"port": at(server(), host="::")}, target="ws://dual.test:{port}/", settle=2,
            module=f"prober: websocket\ntimeout: 2s\nwebsocket:\n  preferred_ip_protocol: {prefer}\n  ip_protocol_fallback: {fallback}",
        )
case("websocket/section-left-out", about="no websocket section at all", peers={"port": at(server(), host="::")}, target="ws://localhost:{port}/", settle=2, module="prober: websocket\ntimeout: 2s")
case("websocket/hostname", about="hostname= means nothing here", peers={"port": server()}, target="ws://127.0.0.1:{port}/", params={"hostname": "other.test"}, settle=2, module="prober: websocket\ntimeout: 2s")

# ------------------------------------------------------------------ headers and authentication
FILES = os.path.join(TMP, "websocket")
os.makedirs(FILES, exist_ok=True)
for name, text in {"user": " bob\n", "pass": "se cret \n\n", "token": "\ttok\n", "header": " from a file \r\n", "empty": ""}.items():
    with open(os.path.join(FILES, name), "w") as f:
        f.write(text)
F = "{tmp}/websocket/"
for name, section in {
    "one": "headers: {X-Test: {values: [one]}}", "two": "headers: {X-Test: {values: [one, two]}}", "case": "headers: {x-tEST-a: {values: [one]}}", "odd-name": "headers: {X_Test: {values: [one]}}", "secret": "headers: {X-Test: {secrets: [hush]}}", "file": "headers: {X-Test: {files: ['" + F + "header']}}", "file-missing": "headers: {X-Test: {files: ['" + F + "nope'], values: [still]}}", "all-kinds": "headers: {X-Test: {values: [a], secrets: [b], files: ['" + F + "header']}}",
    "spaces": "headers: {X-Test: {values: ['  a  b ']}}", "empty": "headers: {X-Test: {values: ['']}}", "utf8": "headers: {X-Test: {values: [é]}}", "newline": 'headers: {X-Test: {values: ["a\\r\\nX-Evil: b"]}}', "user-agent": "headers: {User-Agent: {values: [me]}}", "user-agent-empty": "headers: {User-Agent: {values: ['']}}", "origin": "headers: {Origin: {values: ['http://a.test']}}", "host": "headers: {Host: {values: [other.test]}}", "host-empty": "headers: {Host: {values: ['']}}",
    "host-odd": "headers: {Host: {values: ['a b']}}", "protocol": "headers: {Sec-WebSocket-Protocol: {values: ['chat, superchat']}}", "cookie": "headers: {Cookie: {values: ['a=b']}}", "content-length": "headers: {Content-Length: {values: ['5']}}", "upgrade": "headers: {Upgrade: {values: [x]}}", "connection": "headers: {connection: {values: [close]}}", "key": "headers: {Sec-WebSocket-Key: {values: [x]}}", "version": "headers: {Sec-WebSocket-Version: {values: ['8']}}", "extensions": "headers: {Sec-WebSocket-Extensions: {values: [permessage-deflate]}}",
}.items():
    ws("header-" + name, section, section=section)
for name, section in {
    "basic": "http_config: {basic_auth: {username: ann, password: secret}}", "basic-no-password": "http_config: {basic_auth: {username: ann}}", "basic-files": "http_config: {basic_auth: {username_file: '" + F + "user', password_file: '" + F + "pass'}}", "basic-file-missing": "http_config: {basic_auth: {username: ann, password_file: '" + F + "nope'}}", "bearer": "http_config: {authorization: {credentials: tok}}", "type": "http_config: {authorization: {type: Custom, credentials: tok}}",
    "credentials-file": "http_config: {authorization: {credentials_file: '" + F + "token'}}", "credentials-file-missing": "http_config: {authorization: {credentials_file: '" + F + "nope'}}", "credentials-file-empty": "http_config: {authorization: {credentials_file: '" + F + "empty'}}", "bearer-token": "http_config: {bearer_token: tok}", "bearer-token-file": "http_config: {bearer_token_file: '" + F + "token'}", "and-header": "http_config: {basic_auth: {username: ann, password: b}}\nheaders: {Authorization: {values: [mine]}}",
    "http-headers": "http_config: {http_headers: {X-More: {values: [a]}}}", "proxy": "http_config: {proxy_url: 'http://127.0.0.1:1'}",
}.items():
    ws("auth-" + name, section, section=section)

# ------------------------------------------------------------------ the answer
for name, answer in {
    "200": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok", "301": "HTTP/1.1 301 Moved Permanently\r\nLocation: /x\r\nContent-Length: 0\r\n\r\n", "401": "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", "403": "HTTP/1.1 403 Forbidden\r\nContent-Length: 9\r\n\r\nforbidden", "404-chunked": "HTTP/1.1 404 Not Found\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nnope\r\n0\r\n\r\n", "426": "HTTP/1.1 426 Upgrade Required\r\nContent-Length: 0\r\n\r\n", "500": "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", "100-first": "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n",
    "http10": "HTTP/1.0 101 Switching\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "lower-case": "HTTP/1.1 101 x\r\nupgrade: WEBSOCKET\r\nconnection: uPGRADE\r\nsec-websocket-accept: {accept}\r\n\r\n", "bare-lf": "HTTP/1.1 101 x\nUpgrade: websocket\nConnection: Upgrade\nSec-WebSocket-Accept: {accept}\n\n", "lists": "HTTP/1.1 101 x\r\nUpgrade: h2c, websocket\r\nConnection: keep-alive, Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "two-fields": "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nUpgrade: websocket\r\nConnection: keep-alive\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n",
    "list-fault": "HTTP/1.1 101 x\r\nUpgrade: foo bar, websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "no-reason": "HTTP/1.1 101\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "no-upgrade": "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "wrong-upgrade": "HTTP/1.1 101 x\r\nUpgrade: h2c\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "no-connection": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: {accept}\r\n\r\n",
    "no-accept": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", "wrong-accept": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n", "accept-spaces": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept:   {accept}  \r\n\r\n", "accept-twice": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: x\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "with-length": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: 0\r\nSec-WebSocket-Accept: {accept}\r\n\r\n",
    "bad-length": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nContent-Length: x\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "protocol": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: chat\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "other-extension": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: x-foo\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "deflate": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Extensions: permessage-deflate\r\nSec-WebSocket-Accept: {accept}\r\n\r\n",
    "cookie": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSet-Cookie: a=b\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "folded": "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: keep-alive,\r\n Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "version-2": "HTTP/2.0 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n", "status-099": "HTTP/1.1 099 x\r\nContent-Length: 0\r\n\r\n", "no-http": "SSH-2.0-OpenSSH_9.6\r\n", "no-http-line": "hello there world\r\n\r\n",
    "bad-status": "HTTP/1.1 1O1 x\r\n\r\n", "bad-field": "HTTP/1.1 101 x\r\nUpgrade websocket\r\n\r\n",
}.items():
    ws("answer-" + name, answer.split("\r\n")[0], answer=answer, **({"peer": server(CLOSE, answer=answer)} if name in ("no-http", "no-http-line", "bad-field", "200", "403", "404-chunked") else {}))
ws("answer-nothing", "the peer closes without an answer", peer=lambda conn: request(conn) and None)
ws("answer-half", "the peer closes in the middle of its answer", CLOSE, answer="HTTP/1.1 101 Switching Protocols\r\nUpgrade: webs")
ws("answer-reset", "the peer resets instead", peer=lambda conn: (request(conn), conn.reset()) and None)
ws("answer-silence", "no answer in time", peer=lambda conn: (request(conn), hold(conn)) and None, timeout="1s", bounds=SECOND)


def trickled(conn):
    headers = request(conn)
    for c in f"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept(headers)}\r\n\r\n":
        conn.send(c)
        time.sleep(0.002)
    hold(conn)


ws("answer-trickled", "byte by byte", peer=trickled)

# ------------------------------------------------------------------ messages
for name, about, steps, *moves in [
    ("text", "a text that matches", [E("^hel+o$")], frame("hello")), ("text-with-answer", "right behind the answer", [E("^hello$")], frame("hello")), ("wrong", "a text that does not", [E("^hello$")], frame("bye")), ("one-message-a-step", "each step reads one message", [E("two")], frame("one"), frame("two")), ("binary", "a binary message", [E("^\\x00\\x01$")], frame(b"\x00\x01", 2)), ("empty", "an empty message", [E("^$")], frame("")), ("utf8", "Chinese text", [E("^欢迎$")], frame("欢迎")), ("latin1", "a text that is not UTF-8", [E("^caf.$")], frame(b"caf\xe9")),
    ("lines", "several lines: the whole message counts", [E("(?s)^a.b$")], frame("a\nb")), ("newline-end", "a newline at the end stays", [E("^a$")], frame("a\n")), ("fragments", "three fragments", [E("^one two$")], frame("one", fin=False), frame(" ", 0, fin=False), frame("two", 0)), ("fragments-empty", "empty fragments", [E("^x$")], frame("", fin=False), frame("x", 0, fin=False), frame("", 0)), ("ping-between-fragments", "a ping inside a message", [E("^onetwo$"), S("done")], frame("one", fin=False), frame("ping!", 9), READ, frame("two", 0), READ),
    ("ping-before", "a ping before a message", [E("^x$")], frame("p", 9), READ, frame("x")), ("ping-empty", "an empty ping", [E("^x$")], frame("", 9), READ, frame("x")), ("ping-125", "the longest ping", [E("^x$")], frame("p" * 125, 9), READ, frame("x")), ("pong", "a pong nobody asked for", [E("^x$")], frame("p", 10), frame("x")), ("length-126", "126 bytes", [E("^x+$")], frame("x" * 126)), ("length-65535", "65535 bytes", [E("^x+$")], frame("x" * 65535)), ("length-65536", "65536 bytes", [E("^x+$")], frame("x" * 65536)), ("length-200000", "200000 bytes", [E("^x+$")], frame("x" * 200000)),
    ("length-16-short", "a length in more bytes than needed", [E("^hello$")], b"\x81\x7e\x00\x05hello"), ("length-64-short", "eight bytes for a small length", [E("^hello$")], b"\x81\x7f" + bytes(7) + b"\x05hello"), ("length-64-negative", "the highest bit of the length is set", [E("x")], b"\x81\x7f\xff" + bytes(6) + b"\x05hello"), ("masked", "a masked frame from the server", [E("hello")], frame("hello", mask=b"abcd")), ("rsv1", "a reserved bit", [E("hello")], frame("hello", rsv=0x40)), ("rsv-all", "all reserved bits and more", [E("hello")], frame("hello", rsv=0x70, opcode=3)), ("opcode-3", "an unknown kind", [E("hello")], frame("hello", 3)),
    ("continuation-first", "a continuation of nothing", [E("hello")], frame("hello", 0)), ("text-inside", "a new message inside a message", [E("hello")], frame("hel", fin=False), frame("lo")), ("ping-126", "a ping too long", [E("x")], frame("p" * 126, 9)), ("ping-fragmented", "a ping in fragments", [E("x")], frame("p", 9, fin=False)), ("close", "the peer closes", [E("x")], closing(1000, "bye")), ("close-empty", "without a code", [E("x")], closing()), ("close-one-byte", "with half a code", [E("x")], frame(b"\x03", 8)), ("close-1005", "with a code that must not be sent", [E("x")], closing(1005)), ("close-1014", "with an unlisted code", [E("x")], closing(1014)), ("close-3000", "with a code of an application", [E("x")], closing(3000, "own")), ("close-999", "with a code too small", [E("x")], closing(999)), ("close-5000", "with a code too large", [E("x")], closing(5000)),
    ("close-not-utf8", "with a reason that is not UTF-8", [E("x")], closing(1000, b"\xff")), ("close-after-match", "closes after the match", [E("x"), S("y")], frame("x"), closing(1000)), ("close-between", "closes in the middle of a message", [E("x")], frame("x", fin=False), closing(1001)), ("end", "the peer ends without closing", [E("x")], CLOSE), ("end-in-head", "in the middle of a head", [E("x")], b"\x81", CLOSE), ("end-in-length", "in the middle of a length", [E("x")], b"\x81\x7e\x00", CLOSE), ("end-in-payload", "in the middle of a message", [E("hel")], frame("hel", length=5), CLOSE), ("end-between-fragments", "between fragments", [E("x")], frame("x", fin=False), CLOSE), ("reset", "the peer resets", [E("x")], 0.1, RESET),
    ("in-pieces", "a frame in pieces", [E("^hello$")], b"\x81", 0.05, b"\x05he", 0.05, b"llo"), ("two-in-one", "two frames at once", [E("one"), E("two")], frame("one") + frame("two")), ("send", "a text", [S("hello")], READ), ("send-three", "three texts", [S("a"), S("b"), S("c")], READ, READ, READ), ("send-empty", "an empty text is not sent", [S(""), S("x")], READ), ("send-no-newline", "no newline is added", [S("a\n")], READ), ("send-binary", "bytes go as text", [S("\x00\x01")], READ), ("send-dollar", "nothing is expanded without expect", [S("$1 $$")], READ),
    ("send-125", "125 bytes", [S("x" * 125)], READ), ("send-126", "126 bytes", [S("x" * 126)], READ), ("send-4096", "4096 bytes in one frame", [S("x" * 4096)], READ), ("send-4097", "4097 bytes in two", [S("x" * 4097)], READ, READ), ("send-10000", "10000 bytes in three", [S("x" * 10000)], READ, READ, READ), ("expand", "an answer made of the match", [E("^(\\w+) (?P<n>\\w+)$", send="${n}-$1")], frame("one two"), READ), ("expand-latin1", "bytes come back as they were", [E("^(.*)$", send="<$1>")], frame(b"caf\xe9"), READ), ("expand-empty", "an expansion that leaves nothing", [E("^x(y)?$", send="$1")], frame("x")), ("echo", "question and answer", [S("ping"), E("^pong$"), S("bye")], READ, frame("pong"), READ),
    ("second-fails", "the second does not match", [E("one"), E("two")], frame("one"), frame("three")), ("ignored-steps", "expect_bytes, labels and starttls mean nothing here", [{"expect_bytes": "abc"}, {"starttls": True}, E("^x$", labels=[{"name": "a", "value": "b"}])], frame("x")), ("empty-step", "a step that says nothing", [{}]), ("no-steps", "an empty list of steps", []),
]:
    ws("message-" + name, about, *moves, steps=steps)
# Upstream waits forever here: the recorded answers are the recorder's own timeout, so these are written by hand.

# ------------------------------------------------------------------ TLS
ROOT = "http_config: {tls_config: {ca_file: {certs}/root.pem}}"
for name, about, tls, section, target, options in [
    ("direct", "a certificate that is trusted", "direct", ROOT, "wss://v4.test:{port}/", {}), ("chain", "a chain", "leaf", ROOT, "wss://v4.test:{port}/", {}), ("12", "TLS 1.2", "direct", ROOT, "wss://v4.test:{port}/", {"max_version": "TLSv1_2"}), ("address", "by address", "direct", ROOT, "wss://127.0.0.1:{port}/", {}), ("expired", "expired", "expired", ROOT, "wss://v4.test:{port}/", {}), ("wrongname", "for another name", "wrongname", ROOT, "wss://v4.test:{port}/", {}), ("untrusted", "not trusted", "untrusted", ROOT, "wss://v4.test:{port}/", {}), ("system", "no authority is configured", "direct", "", "wss://v4.test:{port}/", {}),
    ("skip", "not verified", "expired", "http_config: {tls_config: {insecure_skip_verify: true}}", "wss://v4.test:{port}/", {}), ("server-name", "server_name wins", "leaf", "http_config: {tls_config: {ca_file: {certs}/root.pem, server_name: other.test}}", "wss://many.test:{port}/", {}), ("client", "a client certificate", "direct", "http_config: {tls_config: {ca_file: {certs}/root.pem, cert_file: {certs}/client.pem, key_file: {certs}/client.key}}", "wss://v4.test:{port}/", {"client_ca": "root"}), ("ca-missing", "the authority's file does not exist", "direct", "http_config: {tls_config: {ca_file: {tmp}/nope.pem}}", "wss://v4.test:{port}/", {}),
    ("dot", "a final dot", "direct", ROOT, "wss://v4.test.:{port}/", {}), ("alpn", "the server offers h2: none is asked for", "direct", ROOT, "wss://v4.test:{port}/", {"alpn": ["h2", "http/1.1"]}),
]:
    ws("tls-" + name, about, frame("hello"), steps=[E("^hello$")], tls=tls, tls_options=options, section=section, target=target)
ws("tls-ca-missing-plain", "the authority's file does not exist, though TLS is not used", section="http_config: {tls_config: {ca_file: {tmp}/nope.pem}}")
ws("tls-to-plain", "ws to a TLS port", tls="direct")
