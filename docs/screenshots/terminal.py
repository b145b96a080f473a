#!/usr/bin/env python3
"""Writes terminal.svg, a cast of `blackbox_exporter probe` from a real run: a probe that passes, and one that fails with its reason and advice.

usage: terminal.py EXPORTER [SVG]

The services are real, on the loopback interface: a name server, and a web server with a certificate. Only their ports are left out of the picture. Needs openssl.
"""
import html
import http.server
import os
import pty
import re
import socket
import ssl
import struct
import subprocess
import sys
import tempfile
import threading
import time

EXPORTER = os.path.abspath(sys.argv[1])
SVG = sys.argv[2] if len(sys.argv) > 2 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "terminal.svg")
COLUMNS, LINE, WIDTH = 104, 17, 7.85
# Seconds: per typed character, before a command runs, after its output, and after the last one.
TYPING, ENTER, PAUSE, END = 0.04, 0.4, 2.5, 6
COLOURS = {31: "red", 32: "green", 33: "yellow", 34: "blue", 35: "magenta", 36: "cyan", 90: "grey"}
DARK = dict(back="#111827", text="#e5e7eb", red="#f87171", green="#4ade80", yellow="#facc15", blue="#60a5fa", magenta="#c084fc", cyan="#22d3ee", grey="#9ca3af")
LIGHT = dict(back="#f9fafb", text="#1f2937", red="#b91c1c", green="#15803d", yellow="#a16207", blue="#1d4ed8", magenta="#7e22ce", cyan="#0e7490", grey="#6b7280")
MODULES = """modules:
  http_2xx:
    prober: http
    resolver: udp://127.0.0.1:{names}
    http: {{tls_config: {{ca_file: {folder}/certificate.pem}}}}
"""


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "6")
        self.end_headers()
        self.wfile.write(b"hello\n")

    def log_message(self, *_):
        pass


def names():
    """A name server for which every name has the address 127.0.0.1, and its port."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))

    def serve():
        while True:
            query, peer = server.recvfrom(4096)
            end = query.index(0, 12) + 1
            is_a = query[end : end + 2] == b"\0\1"
            record = b"\xc0\x0c" + struct.pack(">HHIH4B", 1, 1, 60, 4, 127, 0, 0, 1) if is_a else b""
            server.sendto(query[:2] + b"\x81\x80" + struct.pack(">4H", 1, is_a, 0, 0) + query[12 : end + 4] + record, peer)

    threading.Thread(target=serve, daemon=True).start()
    return server.getsockname()[1]


def shop(folder):
    """A web server with a certificate for shop.example, and its port."""
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "60", "-subj", "/CN=shop.example", "-addext", "subjectAltName=DNS:shop.example"]
        + ["-keyout", f"{folder}/key.pem", "-out", f"{folder}/certificate.pem"],
        check=True, stderr=subprocess.DEVNULL,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(f"{folder}/certificate.pem", f"{folder}/key.pem")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Service)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def run(folder, target):
    """What the program writes to a terminal, and how long it takes."""
    main, other = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "60"}
    subprocess.run(["stty", "cols", str(COLUMNS)], stdin=other, check=False)
    since = time.monotonic()
    process = subprocess.Popen([EXPORTER, "probe", target], stdout=other, stderr=other, stdin=other, env=environment, cwd=folder)
    os.close(other)
    text = b""
    while True:
        try:
            more = os.read(main, 65536)
        except OSError:
            break
        if not more:
            break
        text += more
    process.wait()
    return text.decode(errors="replace").replace("\r\n", "\n"), time.monotonic() - since


def spans(line):
    """The line as (text, classes)."""
    colour, bold = "text", False
    for part in re.split(r"(\x1b\[[0-9;]*[A-Za-z])", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if code:
            for number in (int(n) if n else 0 for n in code[1].split(";")):
                if number in (0, 39):
                    colour = "text"
                if number in (0, 22):
                    bold = False
                bold |= number == 1
                colour = "grey" if number == 2 else COLOURS.get(number, colour)
        elif part and not part.startswith("\x1b"):
            yield part, colour + (" bold" if bold else "")


def wrapped(line):
    """The pieces of a line that is longer than the terminal is wide, each as (text, classes)."""
    rows, room = [[]], COLUMNS
    for text, classes in spans(line):
        while len(text) > room:
            rows[-1].append((text[:room], classes))
            text, room = text[room:], COLUMNS
            rows.append([])
        rows[-1].append((text, classes))
        room -= len(text)
    return rows


def main():
    with tempfile.TemporaryDirectory() as folder:
        port = shop(folder)
        with open(f"{folder}/blackbox.yml", "w") as file:
            file.write(MODULES.format(names=names(), folder=folder))
        # When a line is shown, and how long it is typed.
        lines, now = [], 0.5
        for target in "https://shop.example/", "https://www.shop.example/":
            command = f"blackbox_exporter probe {target}"
            typing = TYPING * len(command)
            lines.append(([("$ " + command, "text bold")], now, typing))
            text, took = run(folder, target[:-1] + f":{port}/")
            now += typing + ENTER + took
            text = text.rstrip("\n").replace(f".example:{port}", ".example").replace(f":{port}", ":443")
            lines += [(row, now, 0) for line in text.split("\n") for row in wrapped(line)] + [([], now, 0)]
            now += PAUSE
        with open(SVG, "w") as file:
            file.write(picture(lines, now - PAUSE + END))


def picture(lines, length):
    width, height = int(COLUMNS * WIDTH) + 32, LINE * len(lines) + 16

    def colours(theme):
        return f".back{{fill:{theme['back']}}}" + "".join(f".{name}{{fill:{value}}}" for name, value in theme.items() if name != "back")

    def share(at):
        return f"{100 * at / length:.2f}%"

    rules, body = [], []
    for at in sorted({at for _, at, _ in lines}):
        rules.append(f"@keyframes s{int(at * 1000)}{{0%{{opacity:0}}{share(at)}{{opacity:1}}}}")
        rules.append(f".s{int(at * 1000)}{{animation:s{int(at * 1000)} {length:.1f}s step-end infinite}}")
    for number, (line, at, typing) in enumerate(lines):
        y = 24 + number * LINE
        pieces = "".join(f'<tspan class="{classes}">{html.escape(text)}</tspan>' for text, classes in line)
        if pieces:
            body.append(f'<text x="16" y="{y}" class="s{int(at * 1000)}" xml:space="preserve">{pieces}</text>')
        if typing:
            # The command is there at once, below a cover that moves to the right.
            steps = sum(len(text) for text, _ in line) - 2
            name = f"t{number}"
            rules.append(
                f"@keyframes {name}{{0%{{transform:none}}{share(at)}{{transform:none;animation-timing-function:steps({steps})}}"
                f"{share(at + typing)}{{transform:translateX({steps * WIDTH:.0f}px);animation-timing-function:step-end}}{share(at + typing + ENTER)},100%{{transform:translateX({width}px)}}}}"
                f".{name}{{animation:{name} {length:.1f}s linear infinite}}"
            )
            body.append(f'<g class="cover s{int(at * 1000)}"><g class="{name}"><rect class="back" x="{16 + 2 * WIDTH:.0f}" y="{y - 13}" width="{width}" height="{LINE}"/>'
                        f'<rect class="text" x="{16 + 2 * WIDTH:.0f}" y="{y - 11}" width="7" height="14"/></g></g>')
    style = "".join(
        [colours(DARK), ".bold{font-weight:700}", f"@media (prefers-color-scheme:light){{{colours(LIGHT)}}}"]
        + rules
        + ["@media (prefers-reduced-motion:reduce){text{animation:none!important}.cover{display:none}}"]
    )
    return "\n".join([
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" font-family="ui-monospace,SFMono-Regular,Menlo,Consolas,monospace" font-size="13">',
        "<title>blackbox_exporter probe: one probe passes, one fails with its reason and advice</title>",
        f"<style>{style}</style>",
        f'<clipPath id="frame"><rect width="{width}" height="{height}" rx="8"/></clipPath>',
        '<g clip-path="url(#frame)"><rect class="back" width="100%" height="100%"/>',
        *body,
        "</g></svg>\n",
    ])


if __name__ == "__main__":
    main()
