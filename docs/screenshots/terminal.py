#!/usr/bin/env python3
"""Writes terminal.svg: what `blackbox_exporter probe` says of a passing and of a failing probe, from a real run.

usage: terminal.py EXPORTER
"""
import html
import http.server
import os
import pty
import re
import subprocess
import sys
import threading

EXPORTER = os.path.abspath(sys.argv[1])
COLUMNS, LINE, WIDTH = 110, 17, 8.05
COLOURS = {30: "#6b7280", 31: "#f87171", 32: "#4ade80", 33: "#facc15", 34: "#60a5fa", 35: "#c084fc", 36: "#22d3ee", 90: "#9ca3af"}


class Service(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/" else 500)
        self.end_headers()
        self.wfile.write(b"hello\n")

    def log_message(self, *_):
        pass


def run(*arguments):
    """What the program writes to a terminal."""
    main, other = pty.openpty()
    environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "60"}
    subprocess.run(["stty", "cols", str(COLUMNS)], stdin=other, check=False)
    process = subprocess.Popen([EXPORTER, "probe", *arguments], stdout=other, stderr=other, stdin=other, env=environment)
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
    return text.decode(errors="replace").replace("\r\n", "\n")


def spans(line):
    """The line as (text, colour, bold)."""
    colour, bold = "#e5e7eb", False
    for part in re.split(r"(\x1b\[[0-9;]*[A-Za-z])", line):
        code = re.fullmatch(r"\x1b\[([0-9;]*)m", part)
        if code:
            for number in (int(n) if n else 0 for n in code[1].split(";")):
                if number == 0:
                    colour, bold = "#e5e7eb", False
                elif number == 1:
                    bold = True
                elif number in (2, 90):
                    colour = "#9ca3af"
                elif number in COLOURS:
                    colour = COLOURS[number]
                elif number == 39:
                    colour = "#e5e7eb"
                elif number == 22:
                    bold = False
        elif part and not part.startswith("\x1b"):
            yield part, colour, bold


server = http.server.HTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=server.serve_forever, daemon=True).start()
address = f"http://127.0.0.1:{server.server_port}"
lines = []
for path in ["/", "/broken"]:
    lines.append(f"\x1b[1m$ blackbox_exporter probe http://service.example{path}\x1b[0m")
    lines += run(address + path).rstrip("\n").replace(address, "http://service.example").split("\n") + [""]
height = LINE * len(lines) + 24
out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{int(COLUMNS * WIDTH) + 32}" height="{height}" font-family="ui-monospace, monospace" font-size="13">']
out.append('<rect width="100%" height="100%" rx="8" fill="#111827"/>')
for number, line in enumerate(lines):
    pieces = "".join(
        f'<tspan fill="{colour}" font-weight="{700 if bold else 400}">{html.escape(text)}</tspan>' for text, colour, bold in spans(line)
    )
    out.append(f'<text x="16" y="{24 + number * LINE}" xml:space="preserve">{pieces}</text>')
out.append("</svg>\n")
with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "terminal.svg"), "w") as file:
    file.write("\n".join(out))
