#!/usr/bin/env python3
"""Everything at once against an exporter that may use 64 MiB: hostile targets, hostile callers, reloads, a name server that flaps and a
full disk. Meanwhile honest probes must get their results quickly, and the process must not end.

usage: bench/chaos.py [--seconds N] [--p99 MS] [--memory MiB] [--exporter PATH]
Needs root for the cgroup, the full disk and the name server; what cannot be made is reported and left out. Only the standard library.
"""

import argparse
import collections
import gzip
import http.client
import multiprocessing
import os
import pathlib
import random
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
HEAD = b"HTTP/1.1 200 OK\r\n"
# Callers have addresses of their own, as they would have elsewhere.
HONEST, HOSTILE, NAME_SERVER = "127.0.0.9", ["127.0.0.21", "127.0.0.22", "127.0.0.23"], "127.0.0.53"
MODULES = """modules:
  http: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: [fine]}}
  tcp: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4}}
  bare: {prober: http, timeout: 4s, http: {preferred_ip_protocol: ip4}}
  text: {prober: http, timeout: 4s, http: {preferred_ip_protocol: ip4, compression: gzip, fail_if_body_matches_regexp: ['[ab]*a[ab]{200}[cd]']}}
  brotli: {prober: http, timeout: 4s, http: {preferred_ip_protocol: ip4, compression: br}}
  json: {prober: http, timeout: 4s, http: {preferred_ip_protocol: ip4, fail_if_body_json_matches_cel: 'body.size() == 0'}}
  grpc: {prober: grpc, timeout: 4s, grpc: {preferred_ip_protocol: ip4}}
  websocket: {prober: websocket, timeout: 4s, websocket: {preferred_ip_protocol: ip4}}
  dns: {prober: dns, timeout: 4s, dns: {query_name: example.com, preferred_ip_protocol: ip4, transport_protocol: tcp}}
  lines: {prober: tcp, timeout: 4s, tcp: {query_response: [{expect: never}]}}
  tls: {prober: tcp, timeout: 4s, tcp: {tls: true}}
"""


def serve(handle, address="127.0.0.1"):
    """A server with a thread per connection; its port."""
    listener = socket.create_server((address, 0), backlog=1024)

    def one(connection):
        with connection:
            connection.settimeout(8)
            try:
                handle(connection)
            except OSError:
                pass

    def accept():
        while True:
            threading.Thread(target=one, args=(listener.accept()[0],), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    return listener.getsockname()[1]


def after_request(*pieces, forever=None):
    """Answers a request with these bytes, the last of them again and again."""

    def handle(connection):
        connection.recv(65536)
        for piece in pieces:
            connection.sendall(piece)
        end = time.monotonic() + 6
        while forever and time.monotonic() < end:
            connection.sendall(forever)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65536)

    return handle


def at_once(data, pause=0.0):
    def handle(connection):
        end = time.monotonic() + 6
        while time.monotonic() < end:
            connection.sendall(data)
            time.sleep(pause)

    return handle


def frame(kind, flags, stream, payload):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def honest_targets(ports):
    body = b"<html>fine</html>"
    ports.put(("http", serve(after_request(HEAD + b"Content-Length: %d\r\n\r\n" % len(body) + body))))
    ports.put(("tcp", serve(lambda connection: connection.recv(1))))
    threading.Event().wait()


def hostile_targets(ports):
    os.nice(5)
    bomb = gzip.compress(bytes(100_000_000), 1)
    block = b"\x88\x40\x01a\x7f\xa1\x1e" + b"x" * 4000 + b"\xbe" * 200
    http2 = frame(4, 0, 0, b"") + frame(1, 4, 1, block)
    # A window of 1 GiB, which is outside of RFC 7932.
    wide = HEAD + b"Content-Encoding: br\r\n\r\n" + b"\x11\x1e\x03" * 1000
    for module, handle in {
        "bare": after_request(HEAD, b"a:\r\n" * 2_500_000),
        "bare redirect": after_request(b"HTTP/1.1 302 Found\r\nLocation: /" + b"a" * 4_000_000 + b"\r\nContent-Length: 0\r\n\r\n"),
        "text": after_request(HEAD + b"Content-Encoding: gzip\r\n\r\n", bomb),
        "text hard": after_request(HEAD + b"\r\n", forever=b"a" * 65536),
        "text empty": after_request(HEAD + b"Content-Encoding: gzip\r\n\r\n", forever=gzip.compress(b"") * 3000),
        "brotli": after_request(wide),
        # One of 16 MiB, and a block that fills it.
        "brotli full": after_request(HEAD + b"\r\n\xcf\xff\xff\xff", forever=b"Z" * 65536),
        "json": after_request(HEAD + b"\r\n[", forever=b'{"":0},' * 9000),
        "grpc": at_once(http2, 1),
        "websocket": at_once(HEAD + b"\x81\x7f" + b"\xff" * 65536, 0.01),
        "dns": at_once(struct.pack(">H", 65535) + b"\0" * 65535, 0.05),
        "lines": at_once(b"a line that is not what was expected\r\n" * 500, 0.02),
        "lines slow": at_once(b"x", 0.05),
        "lines silent": at_once(b"", 1),
        "tls": at_once(b"\x16\x03\x03\x40\x00" + b"\x02" * 16384, 0.02),
    }.items():
        ports.put((module, serve(handle)))
    ports.put(None)
    threading.Event().wait()


def caller(port, ports, source, seconds):
    """Probes hostile targets over and over, and is a hostile caller itself."""
    os.nice(5)
    end = time.monotonic() + seconds
    dice = random.Random(source)
    kept = collections.deque()

    def connect():
        try:
            return socket.create_connection(("127.0.0.1", port), 2, (source, 0))
        except OSError:
            time.sleep(0.05)
            return None

    while time.monotonic() < end:
        if (stream := connect()) is None:
            continue
        module, target = dice.choice(ports)
        scheme = {"bare": "http://", "text": "http://", "brotli": "http://", "json": "http://", "websocket": "ws://"}
        kind = dice.randrange(10)
        name = module.split()[0]
        path = f"/probe?module={name}&target={scheme.get(name, '')}127.0.0.1:{target}"
        if kind == 6:
            # A page that nobody reads.
            stream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
            path = dice.choice(["/", "/metrics", "/logs?id=1", "/config", path + "&debug=true"])
        elif kind == 7:
            path = "/probe?module=nothing-" + "x" * 30_000
        try:
            stream.setblocking(False)
            if kind == 8:
                stream.send(b"GET / HTTP/1.1\r\nX: " + b"a" * (1 << 20))
            elif kind == 9:
                stream.send(b"G")
            else:
                stream.send(f"GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/html\r\n\r\n".encode())
        except OSError:
            pass
        kept.append(stream)
        if len(kept) > 150:
            kept.popleft().close()
        time.sleep(0.01)


def reloader(port, file, seconds):
    end, turn = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        turn += 1
        file.with_suffix(".new").write_text(MODULES + f"# {turn}\n" if turn % 5 else "modules: [wrong")
        os.replace(file.with_suffix(".new"), file)
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, 5, source_address=(HONEST, 0))
            connection.request("POST", "/-/reload")
            connection.getresponse().read()
        except OSError:
            pass
        time.sleep(1)


def name_server(stop):
    """Answers for two seconds, is silent for two."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((NAME_SERVER, 53))
    server.settimeout(0.5)
    while not stop.is_set():
        try:
            query, asker = server.recvfrom(4096)
        except OSError:
            continue
        if time.monotonic() % 4 < 2:
            end = query.index(b"\0", 12) + 5
            is_a = query[end - 4 : end - 2] == b"\0\1"
            record = b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if is_a else b""
            head = query[:2] + b"\x81\x80\0\1" + (b"\0\1" if is_a else b"\0\0") + bytes(4)
            server.sendto(head + query[12:end] + record, asker)


def honest(port, ports, seconds, results):
    """One caller that probes honest targets by address, twenty times per second; what it saw goes to `results`."""
    end, seen = time.monotonic() + seconds, []
    names = 0
    while time.monotonic() < end:
        for module in ("http", "tcp"):
            target = f"127.0.0.1:{ports[module]}"
            begin = time.monotonic()
            try:
                connection = http.client.HTTPConnection("127.0.0.1", port, 20, source_address=(HONEST, 0))
                connection.request("GET", f"/probe?module={module}&target={target}")
                response = connection.getresponse()
                text = response.read()
                verdict = "fine" if b"\nprobe_success 1" in text else f"status {response.status}"
                if response.status == 200 and verdict != "fine":
                    verdict = "failed"
                connection.close()
            except OSError as error:
                verdict = type(error).__name__
            seen.append((time.monotonic() - begin, verdict))
        names += 1
        if names % 10 == 0:
            # By name, without waiting for it: the name server may be silent.
            stream = socket.create_connection(("127.0.0.1", port), 5, (HONEST, 0))
            stream.sendall(f"GET /probe?module=http&target=http://name{names}.test:{ports['http']}/ HTTP/1.0\r\n\r\n".encode())
            threading.Timer(6, stream.close).start()
        time.sleep(0.05)
    results.put(seen)


def cgroup(mebibytes):
    """A cgroup with this limit, or none and why."""
    for root, file in (("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")):
        group = pathlib.Path(root) / f"blackbox-chaos-{os.getpid()}"
        try:
            group.mkdir()
            if (group / file).exists():
                (group / file).write_text(str(mebibytes << 20))
                return group
            group.rmdir()
        except OSError:
            pass
    return None


def start(arguments, port, folder, group):
    """The exporter in its cgroup, with a name server of its own and a full disk for its log, as far as that can be made."""
    setup = [f"echo $$ > {group}/cgroup.procs"] if group else []
    log = folder / "log"
    if os.geteuid() == 0:
        disk = folder / "disk"
        disk.mkdir()
        (folder / "resolv.conf").write_text(f"nameserver {NAME_SERVER}\noptions timeout:1 attempts:2\n")
        setup += [
            f"mount -t tmpfs -o size=256k chaos {disk}",
            f"mount --bind {folder}/resolv.conf /etc/resolv.conf",
        ]
        log = disk / "log"
    command = [str(arguments.exporter), f"--config.file={folder}/config.yml", f"--web.listen-address=127.0.0.1:{port}", "--log.level=debug"]
    if not group:
        command.append(f"--memory.limit={arguments.memory * 9 // 10}MiB")
    script = " && ".join([*setup, f"exec {' '.join(command)} 2> {log}"])
    isolated = ["unshare", "--mount", "--propagation", "private"] if os.geteuid() == 0 else []
    return subprocess.Popen([*isolated, "sh", "-c", script], stdin=subprocess.DEVNULL)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--p99", type=float, default=100, help="milliseconds")
    parser.add_argument("--memory", type=int, default=64, help="MiB")
    parser.add_argument("--exporter", type=pathlib.Path, default=ROOT / "target/release/blackbox_exporter")
    arguments = parser.parse_args()
    group = cgroup(arguments.memory)
    if not group:
        print("no cgroup can be made here: --memory.limit instead, under which nobody is killed")
    if os.geteuid() != 0:
        print("not root: no full disk and no flapping name server")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    context = multiprocessing.get_context("fork")
    processes, stop = [], threading.Event()

    def run(target, *words):
        process = context.Process(target=target, args=words, daemon=True)
        process.start()
        processes.append(process)

    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        (folder / "config.yml").write_text(MODULES)
        good, bad, results = context.Queue(), context.Queue(), context.Queue()
        run(honest_targets, good)
        run(hostile_targets, bad)
        fine = dict(good.get() for _ in range(2))
        hostile = list(iter(bad.get, None))
        exporter = start(arguments, port, folder, group)
        try:
            if os.geteuid() == 0:
                threading.Thread(target=name_server, args=(stop,), daemon=True).start()
            for _ in range(200):
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    time.sleep(0.05)
            for source in HOSTILE:
                run(caller, port, hostile, source, arguments.seconds)
            run(reloader, port, folder / "config.yml", arguments.seconds)
            run(honest, port, fine, arguments.seconds, results)
            most = 0
            end = time.monotonic() + arguments.seconds + 30
            while results.empty() and time.monotonic() < end and exporter.poll() is None:
                most = max(most, anonymous(exporter.pid))
                time.sleep(0.1)
            alive = exporter.poll() is None
            seen = results.get(timeout=30) if alive else []
            left = settled(port) if alive else None
        finally:
            stop.set()
            for process in processes:
                process.kill()
            if exporter.poll() is None:
                exporter.kill()
            exporter.wait()
            if group:
                time.sleep(0.2)
                group.rmdir()
    return report(arguments, alive, seen, most, left)


def anonymous(pid):
    """Memory that belongs to no file, in MiB."""
    try:
        text = pathlib.Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) >> 10 for line in text.splitlines() if line.startswith("RssAnon")), 0)


def settled(port):
    """The exporter's figures when the callers have gone."""
    time.sleep(2)
    connection = http.client.HTTPConnection("127.0.0.1", port, 20, source_address=(HONEST, 0))
    connection.request("GET", "/metrics")
    wanted = ("memory_refused_total", "log_lines_dropped_total", "probes_in_flight", "config_last_reload_successful")
    lines = connection.getresponse().read().decode().splitlines()
    return [line for line in lines if line[:1] != "#" and any(name in line for name in wanted)]


def report(arguments, alive, seen, most, left):
    verdicts = collections.Counter(verdict for _, verdict in seen)
    times = sorted(took for took, _ in seen)
    figure = lambda share: times[min(len(times) - 1, int(len(times) * share))] * 1000 if times else float("inf")
    print(f"{arguments.seconds:.0f} s, {arguments.memory} MiB: {'alive' if alive else 'DEAD'}, at most {most} MiB of its own")
    print(f"honest probes: {len(seen)}, {dict(verdicts)}; p50 {figure(0.5):.1f} ms, p99 {figure(0.99):.1f} ms, longest {figure(1):.0f} ms")
    for line in left or []:
        print("  ", line)
    served = verdicts["fine"] / max(1, len(seen))
    if not alive or figure(0.99) > arguments.p99 or served < 0.9:
        print(f"FAILED: the exporter must not end, must respond within {arguments.p99:.0f} ms, and nine of ten honest probes must succeed")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
