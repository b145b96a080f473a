#!/usr/bin/env python3
"""Runs an exporter against scripted peers and compares what it answers with recorded answers.

usage: run.py [EXPORTER] [--only REGEX] [--list] [-v]

The recorded answers under expected/ (see recorded.py) are what upstream (master, July 2026) answered in the same cases, and what is right where
upstream cannot answer. A file of the same name under ../deviations replaces an answer: that
is where a deliberate difference is written down; where it holds the time of day, `<case>.regex` there matches the lines that differ. Cases that do
not pass yet stand in pending.txt, one name per line; one that stands there and passes is a fault, too. Exit status 1 when a case differs.

The suite makes a private network namespace. It needs root, or a kernel that lets users make namespaces; python3 and iproute2 are all it uses.
"""
import argparse, concurrent.futures, difflib, importlib, itertools, os, re, subprocess, sys, threading, time, traceback, urllib.parse

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)

def parse():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("exporter", nargs="?", default="target/release/blackbox_exporter")
    ap.add_argument("--only", default="")
    ap.add_argument("--record", action="store_true", help="write what the exporter answers as what is expected")
    ap.add_argument("--list", action="store_true")
    ap.add_argument("--jobs", type=int, default=6)
    ap.add_argument("-v", "--verbose", action="store_true", help="print what each case answered")
    a = ap.parse_args()
    a.exporter = f"{a.exporter} --config.file={{config}} --web.listen-address=127.0.0.1:{{port}}"
    a.cases, a.deviations = os.path.join(HERE, "cases"), os.path.join(HERE, "..", "deviations")
    return a

def isolate():
    """Re-execute inside a private mount and network namespace with names and resolvers of its own."""
    if os.environ.get("CONFORMANCE_ISOLATED"): return
    os.environ["CONFORMANCE_ISOLATED"] = "1"
    # Without root a namespace of users, in which one is root.
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    os.execvp("unshare", ["unshare", *user, "--mount", "--net", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])

def network(tmp):
    def sh(cmd): subprocess.run(cmd, shell=True, check=True)
    sh("ip link set lo up")
    sh("ip link add bh0 type veth peer name bh1 && ip addr add 198.51.100.1/24 dev bh0 && ip link set bh0 up && ip link set bh1 up")
    sh("ip addr add 2001:db8::1/64 dev bh0 nodad")
    try: open("/proc/sys/net/ipv4/ping_group_range", "w").write("0 2147483647")
    except OSError: open("/proc/sys/net/ipv4/ping_group_range", "w").write("0 0")   # all groups that a namespace of users has
    open("/proc/sys/net/ipv4/ip_local_port_range", "w").write("60000 65535")   # out of the way of the peers' ports
    open(tmp + "/hosts", "w").write("127.0.0.1 localhost\n::1 localhost\n127.0.0.1 hosts4.test\n::1 hosts6.test\n127.0.0.1 hosts46.test\n::1 hosts46.test\n")
    open(tmp + "/resolv.conf", "w").write("nameserver 127.0.0.1\noptions timeout:1 attempts:2\n")
    sh(f"mount --bind {tmp}/hosts /etc/hosts && mount --bind {tmp}/resolv.conf /etc/resolv.conf")

def main():
    a = parse()
    if not a.list: isolate()
    import harness as h, recorded
    expected = recorded.Recorded()
    for f in sorted(os.listdir(a.cases)):
        if f.endswith(".py"):
            spec = importlib.util.spec_from_file_location("case_" + f[:-3], os.path.join(a.cases, f))
            m = importlib.util.module_from_spec(spec); spec.loader.exec_module(m)
    chosen = [c for c in h.CASES.values() if re.search(a.only, c.name) and (a.record or not c.informative)]
    if a.list:
        for c in chosen: print(c.name, "-", c.about)
        return 0
    network(h.TMP)
    # relative paths of the exporter are relative to where run.py was called
    resolver = h.Peer("dns", h.name_server, 53)
    ports = {}
    for c in chosen:
        for p, n in c.ports().items():
            assert n not in ports, f"port of {c.name}/{p} collides with {ports[n]}: rename one"
            ports[n] = c.name + "/" + p
    probes = [c for c in chosen if not c.script]
    exporter = None
    if probes:
        config = "modules:\n"
        for c in probes:
            for name, module in {c.id: c.module, **c.extra_modules}.items():
                config += f"  {name}:\n" + "".join("    " + line + "\n" for line in c.fill(module).split("\n"))
        exporter = h.Exporter(a.exporter, config=config, port=9115)
    lock, counter = threading.Lock(), itertools.cycle(range(1100, 9100))

    def observe(c):
        peers = []
        try:
            for p, handler in c.peers.items(): peers.append(h.Peer(p, handler, c.ports()[p]))
            if c.script:
                lab = Lab(h, a, c, counter, lock)
                try: text = c.script(lab)
                finally: lab.close()
                return h.normalise_text(text, c.ports())
            params = [("module", c.id), ("target", c.fill(c.target)), *[(k, c.fill(v)) for k, v in c.params.items()]]
            query = urllib.parse.urlencode([(k, v) for k, v in params if v is not None])
            status, headers, body = exporter.request("/probe?" + query, {"X-Prometheus-Scrape-Timeout-Seconds": str(c.timeout), **c.headers})
            out = [f"status {status}", "content-type " + h.content_type(headers.get("content-type"))]
            if "metrics" in c.show: out += ["--- metrics", h.normalise_metrics(h.leave_out(body.decode(), c.failed_without), c.bounds).rstrip("\n")]
            if "body" in c.show: out += ["--- body", body.decode().rstrip("\n")]
            h.wait_idle(peers, c.settle or 0.05)
            if "received" in c.show:
                for peer in peers:
                    for i, log in enumerate(peer.logs): out += [f"--- received by {peer.name}, connection {i + 1}", *log]
            return h.normalise_text("\n".join(out) + "\n", c.ports())
        finally:
            for p in peers: p.close()

    def run(c):
        try: return c, observe(c), None
        except Exception: return c, None, traceback.format_exc()

    pending = set(lines(os.path.join(HERE, "pending.txt")))
    same, faults = 0, []
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for c, got, error in pool.map(run, chosen):
            if a.verbose and got: print("==", c.name); print(got)
            if a.record and got: expected.texts[c.name] = got; continue
            own = os.path.join(a.deviations, c.name)
            want = read(own + ".txt") or expected.get(c.name)
            if error: fault = "ERROR " + c.name + " " + error.strip().splitlines()[-1]
            elif want is None: fault = "NOT RECORDED " + c.name
            else: fault = difference(c, want, got, read(own + ".regex"))
            if fault and c.name in pending: continue
            if fault: faults.append(c.name); print(fault, flush=True)
            elif c.name in pending: faults.append(c.name); print(c.name, "passes now: take it out of pending.txt")
            else: same += 1
    if exporter: exporter.stop()
    resolver.close()
    if a.record: expected.save()
    print(f"conformance: {same} passed, {len(faults)} failed" + (f", {len(pending)} pending" if pending else ""))
    return 1 if faults else 0

def read(path):
    return open(path).read() if os.path.exists(path) else None

def lines(path):
    return [name for name in (line.split("#")[0].strip() for line in (read(path) or "").splitlines()) if name]

def difference(c, want, got, allowed):
    """What differs, if it is not what `allowed` describes."""
    if got == want: return None
    diff = list(difflib.unified_diff(want.splitlines(), got.splitlines(), "expected", "got", lineterm="", n=1))[2:]
    added = "\n".join(line[1:] for line in diff if line.startswith("+"))
    if allowed and re.fullmatch(allowed.strip(), added): return None
    return "\n".join([f"DIFFERS {c.name} - {c.about}", *diff])

class Lab:
    """What a script case works with: exporters of its own, files in a folder of its own."""
    def __init__(self, h, a, c, counter, lock):
        self.h, self.a, self.case, self.counter, self.lock, self.started = h, a, c, counter, lock, []
        self.dir = os.path.join(h.TMP, c.id); os.makedirs(self.dir, exist_ok=True)

    def fill(self, text): return self.case.fill(text)

    def file(self, name, text):
        path = os.path.join(self.dir, name); open(path, "w").write(self.fill(text)); return path

    def start(self, config="modules: {}\n", args=(), wait=True, command=None, env=None):
        with self.lock: port = next(self.counter)
        path = self.file(f"config-{port}.yml", config) if config is not None else os.path.join(self.dir, "no-such-file.yml")
        e = self.h.Exporter(command or self.a.exporter, args=[self.fill(x).replace("{dir}", self.dir) for x in args], port=port, cwd=os.getcwd(), wait=wait, env=env, config_path=path)
        self.started.append(e)
        return e

    def check(self, config, args=()):
        """Exit status and stderr of --config.check."""
        e = self.start(config, args=["--config.check", *args], wait=False)
        try: rc = e.process.wait(20)
        except subprocess.TimeoutExpired: e.stop(); rc = "still running"
        return rc, e.stderr()

    def close(self):
        for e in self.started: e.stop()

if __name__ == "__main__":
    import importlib.util
    sys.exit(main())
