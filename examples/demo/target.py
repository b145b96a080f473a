#!/usr/bin/env python3
"""A service that misbehaves on purpose, for the demonstration: target.py HTTP_PORT HTTPS_PORT TCP_PORT [ADDRESS]

/ is healthy, /slow takes 0.4 to 1.6 s, /flapping fails for 8 of every 20 seconds, /broken responds 500, /loop redirects to itself,
/json says that a queue is too long. HTTPS has a certificate of its own making that expires in three days. The TCP port greets as a
mail server does, and every third time as one that is overloaded.
"""
import http.server
import itertools
import random
import socketserver
import ssl
import subprocess
import sys
import tempfile
import threading
import time

http_port, https_port, tcp_port = (int(port) for port in sys.argv[1:4])
address = sys.argv[4] if len(sys.argv) > 4 else "127.0.0.1"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        status, headers, body = 200, {}, "<title>Shop</title><h1>Welcome to the shop</h1>\n"
        match self.path:
            case "/slow":
                time.sleep(random.uniform(0.4, 1.6))
            case "/flapping" if time.time() % 20 < 8:
                status, body = 503, "the database is away\n"
            case "/broken":
                status, body = 500, "an error occurred\n"
            case "/loop":
                status, headers, body = 302, {"Location": "/loop"}, ""
            case "/json":
                headers, body = {"Content-Type": "application/json"}, '{"status": "degraded", "queue": 1312}\n'
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body.encode())

    do_HEAD = do_GET

    def log_message(self, *_):
        pass


class Greeter(socketserver.StreamRequestHandler):
    count = itertools.count()

    def handle(self):
        busy = next(self.count) % 3 == 2
        self.wfile.write(b"421 too many connections, try again later\r\n" if busy else b"220 mail.example.com ESMTP ready\r\n")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        pass


class Greetings(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True


with tempfile.TemporaryDirectory() as folder:
    key, certificate = f"{folder}/key.pem", f"{folder}/certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "3", "-subj", "/CN=shop.example.com",
         "-addext", "subjectAltName=DNS:shop.example.com,DNS:localhost,IP:127.0.0.1", "-keyout", key, "-out", certificate],
        check=True, stderr=subprocess.DEVNULL)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
secure = Server((address, https_port), Handler)
secure.socket = context.wrap_socket(secure.socket, server_side=True)
servers = [Server((address, http_port), Handler), secure, Greetings((address, tcp_port), Greeter)]
threads = [threading.Thread(target=server.serve_forever, daemon=True) for server in servers]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
