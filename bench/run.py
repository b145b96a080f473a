#!/usr/bin/env python3
"""Side-by-side benchmark: this exporter and another one under the same load, in turns, within one run.

usage: bench/run.py [--ours PATH] [--other PATH] [--seconds 4] [--rounds 3] [--connections 64] [--only http,tcp] [--parts load,pace,flight,start,curve]

Builds nothing: `cargo build --release --example bench-peer && cargo build --release` first. Needs Debian's nginx (with
libnginx-mod-stream), unbound, wrk and openssl; everything stays on 127.0.0.1 and ends with the run. `bare loop` connects,
asks and closes; `least` does so for each request of a scraper, which it answers with fixed bytes. `load` asks as fast as
answers come, so that each is measured at a pace of its own; `pace` asks all of them equally often. `--other` takes any
exporter with upstream's flags (default: Debian's prometheus-blackbox-exporter). The tables are Markdown; every figure of
`other` stands beside `ours` of the same run, and the ratio is ours / other. Figures beside failed probes mean nothing:
the run ends with an error when a probe fails.
"""
import argparse, os, re, shutil, statistics, subprocess, sys, tempfile, time, urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
PEER = os.environ.get("BENCH_PEER", f"{ROOT}/target/release/examples/bench-peer")
HZ = os.sysconf("SC_CLK_TCK")
SPREAD = 16  # addresses of nginx
HTTP, TLS, RSA, BANNER, DNS, DOT, GRPC, HANG = 18080, 18443, 18444, 18025, 18053, 18853, 18051, 18099

def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ours", default=f"{ROOT}/target/release/blackbox_exporter")
    parser.add_argument("--other", default=shutil.which("prometheus-blackbox-exporter") or "")
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--connections", type=int, default=64)
    parser.add_argument("--in-flight", type=int, default=10000, help="a probe takes two open files: fewer where the limit says so")
    parser.add_argument("--only", default="")
    parser.add_argument("--rate", type=int, default=2000, help="probes a second of the part `pace`")
    parser.add_argument("--parts", default="load,pace,flight,start,curve")
    return parser.parse_args()

# ------------------------------------------------------------------------------------------------ processes
class Process:
    def __init__(self, argv, log, **kw):
        self.child = subprocess.Popen(argv, stdout=kw.pop("stdout", subprocess.DEVNULL), stderr=open(log, "a"), start_new_session=True, **kw)
        self.pid = self.child.pid
    def cpu(self):
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) / HZ, int(fields[12]) / HZ
    def status(self, key): return int(re.search(rf"{key}:\s+(\d+)", open(f"/proc/{self.pid}/status").read()).group(1))
    def rss(self): return self.status("VmRSS") / 1024
    def threads(self): return self.status("Threads")
    def files(self): return len(os.listdir(f"/proc/{self.pid}/fd"))
    def __enter__(self): return self
    def __exit__(self, *_): self.stop()
    def stop(self):
        self.child.terminate()
        try: self.child.wait(5)
        except subprocess.TimeoutExpired: self.child.kill(); self.child.wait()

def shell(command): subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
def get(port, path, timeout=20): return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout).read().decode()

class Exporter(Process):
    """An exporter under test; `ready` is the time from exec to its first answer."""
    def __init__(self, name, binary, config, port, tmp, more=()):
        import socket
        self.name, self.port = name, port
        begin = time.monotonic()
        super().__init__([binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", *more], f"{tmp}/{name}.log")
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 5) as s:
                    s.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
                    if s.recv(12).endswith(b"200"): break
            except OSError: pass
            if self.child.poll() is not None or time.monotonic() - begin > 60: sys.exit(f"{name} did not start:\n" + open(f"{tmp}/{name}.log").read()[-800:])
            time.sleep(0.0005)
        self.ready = time.monotonic() - begin

class Least(Process):
    """The least that something which is scraped has to do for a probe."""
    name, port = "least", 19114
    def __init__(self, kind, tmp):
        super().__init__([PEER, "least", kind, f"127.0.0.1:{HTTP}", str(self.port)], f"{tmp}/least.log")
        while True:
            try: get(self.port, "/"); break
            except OSError: time.sleep(0.05)

# ---------------------------------------------------------------------------------------------------- peers
def certificates(tmp):
    shell(f"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout {tmp}/ca.key -out {tmp}/ca.crt -days 30 -subj /CN=bench-ca")
    open(f"{tmp}/ext", "w").write("subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n")
    for name, kind in (("ec", "ec -pkeyopt ec_paramgen_curve:P-256"), ("rsa", "rsa:2048")):
        shell(f"openssl req -newkey {kind} -nodes -keyout {tmp}/{name}.key -out {tmp}/{name}.csr -subj /CN=localhost")
        shell(f"openssl x509 -req -in {tmp}/{name}.csr -CA {tmp}/ca.crt -CAkey {tmp}/ca.key -CAcreateserial -out {tmp}/{name}.crt -days 30 -extfile {tmp}/ext")

def peers(tmp):
    certificates(tmp)
    stream = "/usr/lib/nginx/modules/ngx_stream_module.so"
    if not os.path.exists(stream): sys.exit("apt-get install libnginx-mod-stream")
    def tls(port, key): return f"server {{ listen 127.0.0.1:{port} ssl http2 backlog=4096; ssl_certificate {tmp}/{key}.crt; ssl_certificate_key {tmp}/{key}.key; ssl_session_tickets off; location / {{ default_type text/plain; return 200 \"hello\\n\"; }} }}"
    open(f"{tmp}/nginx.conf", "w").write(f"""load_module {stream};
daemon off; worker_processes 1; pid {tmp}/nginx.pid; error_log {tmp}/nginx.err; worker_rlimit_nofile 65535;
events {{ worker_connections 20000; }}
http {{ access_log off; client_body_temp_path {tmp}/b; proxy_temp_path {tmp}/p; fastcgi_temp_path {tmp}/f; uwsgi_temp_path {tmp}/u; scgi_temp_path {tmp}/s;
 server {{ {"".join(f"listen 127.0.0.{n}:{HTTP} backlog=4096; " for n in range(1, SPREAD + 1))} location / {{ default_type text/plain; return 200 "hello hello hello\\n"; }} location /r {{ return 302 /; }} }}
 {tls(TLS, "ec")} {tls(RSA, "rsa")}
}}
stream {{ server {{ listen 127.0.0.1:{BANNER} backlog=4096; return "220 mail.example ESMTP ready\\n"; }} }}
""")
    open(f"{tmp}/unbound.conf", "w").write(f"""server:
 interface: 127.0.0.1@{DNS}
 interface: 127.0.0.1@{DOT}
 port: {DNS}
 tls-port: {DOT}
 tls-service-key: {tmp}/ec.key
 tls-service-pem: {tmp}/ec.crt
 do-daemonize: no
 use-syslog: no
 chroot: ""
 username: ""
 directory: "{tmp}"
 pidfile: "{tmp}/ub.pid"
 access-control: 127.0.0.0/8 allow
 incoming-num-tcp: 1024
 num-threads: 1
 local-zone: "example.test." static
 local-data: "www.example.test. 300 IN A 192.0.2.1"
remote-control:
 control-enable: no
""")
    log = f"{tmp}/peers.log"
    started = [Process(["nginx", "-c", f"{tmp}/nginx.conf", "-p", tmp], log), Process(["unbound", "-d", "-c", f"{tmp}/unbound.conf"], log),
               Process([PEER, "serve", str(GRPC), str(HANG)], log)]
    time.sleep(1)
    return started

def config(tmp, modules=0):
    ca = f"tls_config: {{ca_file: {tmp}/ca.crt}}"
    text = f"""modules:
  http: {{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4}}}}
  regex: {{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: ["hello.*hello"]}}}}
  https: {{prober: http, timeout: 5s, http: {{preferred_ip_protocol: ip4, fail_if_not_ssl: true, {ca}}}}}
  tcp: {{prober: tcp, timeout: 5s, tcp: {{preferred_ip_protocol: ip4}}}}
  banner: {{prober: tcp, timeout: 5s, tcp: {{preferred_ip_protocol: ip4, query_response: [{{expect: "^220 .*ready"}}]}}}}
  icmp: {{prober: icmp, timeout: 5s, icmp: {{preferred_ip_protocol: ip4}}}}
  dns: {{prober: dns, timeout: 5s, dns: {{preferred_ip_protocol: ip4, query_name: www.example.test, query_type: A}}}}
  dot: {{prober: dns, timeout: 5s, dns: {{preferred_ip_protocol: ip4, query_name: www.example.test, query_type: A, transport_protocol: tcp, dns_over_tls: true, {ca}}}}}
  grpc: {{prober: grpc, timeout: 5s, grpc: {{preferred_ip_protocol: ip4}}}}
  hang_http: {{prober: http, timeout: 60s, http: {{preferred_ip_protocol: ip4}}}}
  hang_tcp: {{prober: tcp, timeout: 60s, tcp: {{preferred_ip_protocol: ip4, query_response: [{{expect: "never"}}]}}}}
"""
    text += "".join(f"  more_{i}: {{prober: http, timeout: 5s, http: {{fail_if_body_not_matches_regexp: [\"hello {i}.*world\"], headers: {{X-N: \"{i}\"}}}}}}\n" for i in range(modules))
    path = f"{tmp}/modules-{modules}.yml"
    open(path, "w").write(text)
    return path

SCENARIOS = {
    "http": f"/probe?module=http&target=http://127.0.0.1:{HTTP}/",
    "redirect": f"/probe?module=http&target=http://127.0.0.1:{HTTP}/r",
    "regex": f"/probe?module=regex&target=http://127.0.0.1:{HTTP}/",
    "https-ecdsa": f"/probe?module=https&target=https://127.0.0.1:{TLS}/",
    "https-rsa": f"/probe?module=https&target=https://127.0.0.1:{RSA}/",
    "tcp": f"/probe?module=tcp&target=127.0.0.1:{HTTP}",
    # One address has some 28,000 ports to connect from, which is what limits the scenario before.
    "tcp-spread": f"/probe?module=tcp&target=127.0.0.{{n}}:{HTTP}",
    "banner": f"/probe?module=banner&target=127.0.0.1:{BANNER}",
    "icmp": "/probe?module=icmp&target=127.0.0.1",
    "dns": f"/probe?module=dns&target=127.0.0.1:{DNS}",
    "dns-tls": f"/probe?module=dot&target=127.0.0.1:{DOT}",
    "grpc": f"/probe?module=grpc&target=127.0.0.1:{GRPC}",
    "metrics": "/metrics",
}
LUA = """bad = 0
function setup(thread) worker = thread end
function init(args) bad = 0 end
function response(status, headers, body) if not string.find(body, WANT, 1, true) then bad = bad + 1 end end
function done(summary, latency) io.write(string.format("RESULT %d %d %d %d %d\\n", summary.requests, worker:get("bad"), latency:percentile(50), latency:percentile(99), latency:percentile(99.9))) end
"""

SPREADING = """n = 0
function request() n = n %% %d + 1; return wrk.format("GET", (string.gsub("%s", "{n}", n))) end
"""

def load(exporter, path, tmp, seconds, connections):
    """One round: (probes/s, user us, system us, p50, p99, p99.9 in ms) a probe."""
    script = f"{tmp}/check.lua"
    want = "process_" if path == "/metrics" else "probe_success 1"
    open(script, "w").write(LUA.replace("WANT", f'"{want}"') + (SPREADING % (SPREAD, path) if "{n}" in path else ""))
    path = path.replace("{n}", "1")
    user, system = exporter.cpu()
    out = subprocess.run(["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script, f"http://127.0.0.1:{exporter.port}{path}"], capture_output=True, text=True).stdout
    user2, system2 = exporter.cpu()
    count, bad, p50, p99, p999 = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", out).groups())
    if bad or not count: sys.exit(f"{exporter.name} {path}: {bad} of {count} probes failed\n{out}\n" + get(exporter.port, path)[-800:])
    return count / seconds, 1e6 * (user2 - user) / count, 1e6 * (system2 - system) / count, p50 / 1e3, p99 / 1e3, p999 / 1e3

def pace(exporter, path, rate, seconds):
    """One round at a given rate: (user us, system us) a probe."""
    before = exporter.cpu()
    out = subprocess.run([PEER, "pace", f"127.0.0.1:{exporter.port}", path, str(rate), str(seconds)], capture_output=True, text=True)
    if out.returncode: sys.exit(f"{exporter.name} {path}: {out.stderr}")
    return [1e6 * (b - a) / int(out.stdout) for a, b in zip(before, exporter.cpu())]

def bare(kind, connections, seconds, *rate):
    """One round of the bare loop: (probes/s, user us, system us) a probe."""
    out = subprocess.run([PEER, "floor", kind, f"127.0.0.1:{HTTP}", str(connections), str(seconds), *map(str, rate)], capture_output=True, text=True, check=True).stdout
    count, user, system = map(float, out.split())
    return count / seconds, 1e6 * user / count, 1e6 * system / count

def medians(rows): return [statistics.median(column) for column in zip(*rows)]

# ---------------------------------------------------------------------------------------------------- parts
def part_load(a, tmp, exporters):
    chosen = {k: v for k, v in SCENARIOS.items() if not a.only or k in a.only.split(",")}
    idle = {e.name: e.rss() for e in exporters}
    results = {}
    for _ in range(a.rounds):
        for scenario, path in chosen.items():
            for e in exporters:
                results.setdefault((scenario, e.name), []).append(load(e, path, tmp, a.seconds, a.connections))
                time.sleep(0.3)
        for kind in ("http", "tcp"):
            if kind in chosen:
                results.setdefault((kind, "bare loop"), []).append((*bare(kind, a.connections, a.seconds), 0, 0, 0))
                with Least(kind, tmp) as least:
                    results.setdefault((kind, "least"), []).append(load(least, f"/{kind}", tmp, a.seconds, a.connections))
    print("\n| scenario | exporter | probes/s | CPU us a probe | user | system | p50 ms | p99 ms | p99.9 ms | CPU ratio |\n|---|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    for scenario in chosen:
        base = None
        for name in [*(e.name for e in reversed(exporters)), "least", "bare loop"]:
            if (scenario, name) not in results: continue
            rate, user, system, p50, p99, p999 = medians(results[(scenario, name)])
            cpu = user + system
            if base is None: base = cpu
            lat = "| | |" if name == "bare loop" else f"{p50:.2f} | {p99:.2f} | {p999:.2f} |"
            print(f"| {scenario} | {name} | {rate:.0f} | {cpu:.1f} | {user:.1f} | {system:.1f} | {lat} {cpu / base:.3f} |")
        for name in ("least", "bare loop"):
            if (scenario, name) in results:
                ours, floor = (sum(medians(results[(scenario, n)])[1:3]) for n in ("ours", name))
                print(f"| {scenario} | ours / {name} | | | | | | | | {ours / floor:.2f} |")
    print("\n| exporter | memory idle MiB | after all scenarios MiB | threads | open files |\n|---|--:|--:|--:|--:|")
    for e in reversed(exporters): print(f"| {e.name} | {idle[e.name]:.1f} | {e.rss():.1f} | {e.threads()} | {e.files()} |")

def part_pace(a, tmp, exporters):
    results = {}
    for _ in range(a.rounds):
        for kind in ("http", "tcp"):
            with Least(kind, tmp) as least:
                for e in (*exporters, least):
                    # Which module and target `least` is asked for does not matter to it.
                    results.setdefault((kind, e.name), []).append(pace(e, SCENARIOS[kind], a.rate, a.seconds))
            results.setdefault((kind, "bare loop"), []).append(bare(kind, 16, a.seconds, a.rate)[1:])
    print(f"\n{a.rate} probes a second of each:\n\n| scenario | exporter | CPU us a probe | user | system | CPU ratio | ours / this |\n|---|---|--:|--:|--:|--:|--:|")
    for kind in ("http", "tcp"):
        ours = sum(medians(results[(kind, "ours")]))
        names = [*(e.name for e in reversed(exporters)), "least", "bare loop"]
        base = sum(medians(results[(kind, names[0])]))
        for name in names:
            user, system = medians(results[(kind, name)])
            print(f"| {kind} | {name} | {user + system:.1f} | {user:.1f} | {system:.1f} | {(user + system) / base:.3f} | {ours / (user + system):.2f} |")

def percentile(values, q): return sorted(values)[min(len(values) - 1, int(len(values) * q))]

def watch(port, path, count):
    out = subprocess.run([PEER, "watch", f"127.0.0.1:{port}", path, str(count)], capture_output=True, text=True, check=True).stdout
    return [float(x) for x in out.split()]

def part_flight(a, tmp, exporters):
    print(f"\n{a.in_flight} probes in flight to targets that accept and stay silent (half http, half tcp):\n")
    print("| exporter | memory MiB | threads | open files | /metrics p50 ms | p99 ms | healthy tcp p50 ms | p99 ms |\n|---|--:|--:|--:|--:|--:|--:|--:|")
    for e in reversed(exporters):
        floods = [Process([PEER, "flood", f"127.0.0.1:{e.port}", f"/probe?module={m}&target={t}", str(a.in_flight // 2)], f"{tmp}/flood.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)
                  for m, t in (("hang_http", f"http://127.0.0.1:{HANG}/"), ("hang_tcp", f"127.0.0.1:{HANG}"))]
        for f in floods: f.child.stdout.readline()
        time.sleep(3)
        page, tcp = watch(e.port, "/metrics", 300), watch(e.port, SCENARIOS["tcp"], 300)
        ms = [1e3 * percentile(v, q) for v in (page, tcp) for q in (.5, .99)]
        print(f"| {e.name} | {e.rss():.1f} | {e.threads()} | {e.files()} | " + " | ".join(f"{m:.2f}" for m in ms) + " |", flush=True)
        for f in floods: f.child.stdin.close(); f.stop()
        time.sleep(2)
    for e in reversed(exporters): print(f"\n{e.name}: {e.rss():.1f} MiB, {e.files()} open files two seconds after the callers left")

def part_start(a, tmp, binaries):
    print("\n| exporter | modules | start to first answer ms | memory MiB |\n|---|--:|--:|--:|")
    for modules in (0, 10000):
        path = config(tmp, modules)
        for name, binary in reversed(binaries):
            rows = []
            for _ in range(max(a.rounds, 3)):
                e = Exporter(name, binary, path, 19300, tmp); rows.append((1e3 * e.ready, e.rss())); e.stop()
            ready, rss = medians(rows)
            print(f"| {name} | {modules + 11} | {ready:.1f} | {rss:.1f} |")

def part_curve(a, tmp, binaries):
    """CPU a probe must not grow with modules, history entries or probes in flight."""
    ours = binaries[0]
    print("\n| ours, tcp-spread scenario | CPU us a probe |\n|---|--:|")
    def measure(label, modules=0, more=(), flood=0):
        e = Exporter(ours[0], ours[1], config(tmp, modules), 19301, tmp, more)
        held = []
        if flood:
            held = [Process([PEER, "flood", f"127.0.0.1:{e.port}", f"/probe?module=hang_tcp&target=127.0.0.1:{HANG}", str(flood)], f"{tmp}/flood.log", stdin=subprocess.PIPE, stdout=subprocess.PIPE)]
            held[0].child.stdout.readline(); time.sleep(2)
        rows = [load(e, SCENARIOS["tcp-spread"], tmp, a.seconds, a.connections) for _ in range(a.rounds)]
        _, user, system, *_ = medians(rows)
        print(f"| {label} | {user + system:.1f} |", flush=True)
        for h in held: h.child.stdin.close(); h.stop()
        e.stop()
    for n in (0, 1000, 10000): measure(f"{n + 11} modules", modules=n)
    for n in (0, 100, 10000): measure(f"--history.limit={n}", more=[f"--history.limit={n}"])
    for n in (1000, 5000, a.in_flight): measure(f"{n} probes in flight", flood=n, more=[f"--web.max-connections={n + 100}"])

def main():
    a = arguments()
    import resource
    files = min(65536, resource.getrlimit(resource.RLIMIT_NOFILE)[1])
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, files))
    a.in_flight = min(a.in_flight, (files - 200) // 2)
    tmp = tempfile.mkdtemp(prefix="bench-")
    binaries = [("ours", a.ours)] + ([("other", a.other)] if a.other else [])
    running = peers(tmp)
    try:
        print("`" + " ".join(["bench/run.py", *sys.argv[1:]]) + f"`, {os.cpu_count()} cores, {a.rounds} rounds of {a.seconds} s, {a.connections} connections, medians.")
        if any(part in a.parts for part in ("load", "pace", "flight")):
            path = config(tmp)
            # By default half of the files are for callers, who would wait here.
            room = {"ours": [f"--web.max-connections={a.in_flight + 100}"]}
            exporters = [Exporter(n, b, path, 19115 + i, tmp, room.get(n, [])) for i, (n, b) in enumerate(binaries)]
            running += exporters
            if "load" in a.parts: part_load(a, tmp, exporters)
            if "pace" in a.parts: part_pace(a, tmp, exporters)
            if "flight" in a.parts: part_flight(a, tmp, exporters)
        if "start" in a.parts: part_start(a, tmp, binaries)
        if "curve" in a.parts: part_curve(a, tmp, binaries)
    finally:
        for p in reversed(running): p.stop()
        shutil.rmtree(tmp, ignore_errors=True)

if __name__ == "__main__": main()
