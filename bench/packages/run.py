#!/usr/bin/env python3
"""The packages that docs/dependencies.md passes over, measured beside what does their work here. Prints Markdown.

usage: bench/packages/run.py [--only resolve,ping,yaml,http,http2] [--exporter target/debug/blackbox_exporter] [-v]

Builds the program of this folder (a workspace of its own, not part of the exporter's) and, where Go is installed, `reference.go`.
Runs in namespaces of its own, with its own name servers, hosts file and resolv.conf (root). Needs iproute2; the parts `resolve` and
`http` need Go, the part `yaml` an exporter that is built. -v lists every difference. Packages are those of Cargo.lock.
"""
import argparse, importlib.util, json, os, random, re, socket, socketserver, struct, subprocess, sys, tempfile, textwrap, threading, time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SUITE = os.path.join(ROOT, "tests", "conformance")


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="resolve,ping,yaml,http,http2")
    parser.add_argument("--exporter", default=f"{ROOT}/target/debug/blackbox_exporter")
    parser.add_argument("--target-dir", default=f"{ROOT}/target/packages")
    parser.add_argument("-v", action="store_true")
    return parser.parse_args()


def build(a):
    """In the caller's namespace: cargo may have to download."""
    subprocess.run(["cargo", "build", "--locked", "--release", "--manifest-path", f"{HERE}/Cargo.toml", "--target-dir", a.target_dir], check=True)
    if subprocess.run(["sh", "-c", "command -v go"], stdout=subprocess.DEVNULL).returncode == 0:
        subprocess.run(["go", "build", "-o", f"{a.target_dir}/reference", f"{HERE}/reference.go"], check=True)


def isolate(a):
    if os.environ.get("PACKAGES_ISOLATED"): return
    build(a)
    os.environ["PACKAGES_ISOLATED"] = "1"
    os.execvp("unshare", ["unshare", "--mount", "--net", sys.executable, os.path.abspath(__file__), *sys.argv[1:]])


def network(tmp):
    def sh(command): subprocess.run(command, shell=True, check=True)
    sh("ip link set lo up")
    sh("ip link add p0 type veth peer name p1 && ip addr add 198.51.100.1/24 dev p0 && ip link set p0 up && ip link set p1 up")
    sh("ip -6 addr add 2001:db8::1/64 dev p0 nodad")
    open("/proc/sys/net/ipv4/ping_group_range", "w").write("0 2147483647")
    for name in ("hosts", "resolv.conf"):
        open(f"{tmp}/{name}", "w").write("")
        sh(f"mount --bind {tmp}/{name} /etc/{name}")


# ------------------------------------------------------------------------------------------------ name servers
A, CNAME, AAAA = 1, 5, 28
def wire(name): return b"".join(bytes([len(part)]) + part.encode() for part in name.split(".") if part) + b"\0"
def record(name, kind, data): return wire(name) + struct.pack("!HHIH", kind, 1, 300, len(data)) + data
def ip4(*ips): return lambda name, kind: [record(name, A, socket.inet_aton(ip)) for ip in ips] if kind == A else []
def ip6(*ips): return lambda name, kind: [record(name, AAAA, socket.inet_pton(socket.AF_INET6, ip)) for ip in ips] if kind == AAAA else []
def both(*answers): return lambda name, kind: [record for answer in answers for record in answer(name, kind)]
def alias(to, *answers): return lambda name, kind: [record(name, CNAME, wire(to))] + [r for answer in answers for r in answer(to, kind)]

ZONE = {
    "one.test": ip4("192.0.2.1"), "two.test": both(ip4("192.0.2.2"), ip6("2001:db8::2")), "six.test": ip6("2001:db8::6"),
    "host.s1.test": ip4("192.0.2.11"), "host.s2.test": ip4("192.0.2.12"), "only2.s2.test": ip4("192.0.2.13"), "a.b.s1.test": ip4("192.0.2.14"),
    "a.b": ip4("192.0.2.15"), "single": ip4("192.0.2.16"), "a.b.c.s1.test": ip4("192.0.2.17"), "one.test.s1.test": ip4("192.0.2.18"), "tld.": ip4("192.0.2.19"),
    "under_score.test": ip4("192.0.2.21"), "-dash.test": ip4("192.0.2.22"), "dash-.test": ip4("192.0.2.23"), "*.test": ip4("192.0.2.24"), "sp ace.test": ip4("192.0.2.25"),
    "UPPER.test": ip4("192.0.2.26"), "1234": ip4("192.0.2.27"), "1.2.3": ip4("192.0.2.28"), "x" * 63 + ".test": ip4("192.0.2.29"), "a/b.test": ip4("192.0.2.30"), "a@b.test": ip4("192.0.2.31"),
    "printer.local": ip4("192.0.2.32"), "hidden.onion": ip4("192.0.2.33"), "localhost": ip4("192.0.2.34"), "sub.localhost": ip4("192.0.2.35"), "name.invalid": ip4("192.0.2.36"),
    "five.test": ip4("203.0.113.5", "192.0.2.1", "198.51.100.9", "10.0.0.1", "127.0.0.9"),
    "scopes.test": ip6("fd00::1", "2001:db8::9", "fec0::1", "2002:c000:201::1", "::1", "2001:db8:0:1::1"), "far.test": ip6("2001:db9::1", "2001:db8::77", "64:ff9b::c000:201"),
    "mapped.test": ip6("::ffff:192.0.2.7"), "same.test": ip4("192.0.2.1", "192.0.2.1"),
    "alias.test": alias("one.test", ip4("192.0.2.1")), "broken-alias.test": alias("one.test"), "loop.test": alias("loop.test"), "empty.test": ip4(),
}
for i in range(200): ZONE[f"n{i}.test"] = both(ip4(f"192.0.2.{i}"), ip6(f"2001:db8::{i:x}"))
CODES = {"formerr.test": 1, "servfail.test": 2, "notimp.test": 4, "refused.test": 5, "code9.test": 9}


class NameServer:
    """UDP and TCP on port 53 of an address; what is asked is kept."""
    def __init__(self, address, down=False):
        self.address, self.queries, self.quiet = address, [], False
        if down: return
        outer = self
        class Udp(socketserver.BaseRequestHandler):
            def handle(self):
                for answer in outer.answers(self.request[0], "udp"): self.request[1].sendto(answer, self.client_address)
        class Tcp(socketserver.StreamRequestHandler):
            def handle(self):
                while length := self.rfile.read(2):
                    for answer in outer.answers(self.rfile.read(struct.unpack("!H", length)[0]), "tcp"):
                        self.wfile.write(struct.pack("!H", len(answer)) + answer)
        socketserver.ThreadingTCPServer.allow_reuse_address = True
        for server in (socketserver.ThreadingUDPServer((address, 53), Udp), socketserver.ThreadingTCPServer((address, 53), Tcp)):
            server.daemon_threads = True
            threading.Thread(target=server.serve_forever, daemon=True).start()

    def answers(self, query, over):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1 : at + 1 + query[at]].decode("latin1"))
            at += 1 + query[at]
        name, kind, question = ".".join(labels), struct.unpack("!H", query[at + 1 : at + 3])[0], query[12 : at + 5]
        if not self.quiet: self.queries.append((name, {A: "A", AAAA: "AAAA"}.get(kind, str(kind)), over, self.address))
        def reply(records=(), code=0, flags=0x8180, ident=query[:2], question=question):
            return ident + struct.pack("!5H", flags | code, 1 if question else 0, len(records), 0, 0) + question + b"".join(records)
        if name == "silent.test" or name == "silent1.test" and self.address == "127.0.0.1": return []
        if name == "silent1.test": return [reply(ip4("192.0.2.41")(name, kind))]
        if name == "fail1.test": return [reply(code=2) if self.address == "127.0.0.1" else reply(ip4("192.0.2.42")(name, kind))]
        if name == "nx1.test": return [reply(code=3) if self.address == "127.0.0.1" else reply(ip4("192.0.2.43")(name, kind))]
        if name == "refuse1.test": return [reply(code=5) if self.address == "127.0.0.1" else reply(ip4("192.0.2.44")(name, kind))]
        if name == "lame.test": return [reply(flags=0x8100)]
        if name == "cut.test": return [reply(flags=0x8380)] if over == "udp" else [reply(ip4("192.0.2.45")(name, kind))]
        if name == "wrong-id.test": return [reply(ip4("192.0.2.66")(name, kind), ident=b"xx"), reply(ip4("192.0.2.46")(name, kind))]
        if name == "wrong-question.test": return [reply(ip4("192.0.2.66")(name, kind), question=wire("other.test") + question[-4:]), reply(ip4("192.0.2.47")(name, kind))]
        if name == "other-owner.test": return [reply(ip4("192.0.2.48")("other.test", kind))]
        if name == "garbage.test": return [query[:2] + b"\x81\x80garbage"]
        if name == "half.test": return [reply(code=2) if kind == AAAA else reply(ip4("192.0.2.49")(name, kind))]
        if name == "half-silent.test": return [] if kind == AAAA else [reply(ip4("192.0.2.50")(name, kind))]
        if name == "extra.test": return [reply(ip4("192.0.2.51")(name, A) + ip6("2001:db8::51")(name, AAAA))]
        if name in CODES: return [reply(code=CODES[name])]
        found = ZONE.get(name) or ZONE.get(name + ".")
        return [reply(found(name, kind))] if found else [reply(code=3)]


# ------------------------------------------------------------------------------------------------ resolve
BASE = "nameserver 127.0.0.1\noptions timeout:1 attempts:2\n"
HOSTS = "192.0.2.101 Host-A alias-a # one\n192.0.2.102 host-a\n2001:db8::101 host-a\nfe80::1%p0 scoped\n1.2.3 broken\n192.0.2.103 dotted.\n127.0.0.1 localhost\n::1 localhost\n192.0.2.104 one.test\n"
SETUPS = [   # what it is about, resolv.conf, hosts, names
    ("addresses and odd names", BASE, "", ["192.0.2.1", "2001:db8::1", "fe80::1%p0", "[::1]", "127.1", "0x7f.1", "1.2.3", "1234", "::ffff:192.0.2.1", "under_score.test", "-dash.test", "dash-.test", "*.test", "sp ace.test", "UPPER.test",
        "upper.TEST", "x" * 63 + ".test", "x" * 64 + ".test", ".".join(["abcdefgh"] * 28), ".".join(["abcdefgh"] * 29), "a..b", ".one.test", "one.test.", "one.test..", ".", "=", "a/b.test", "a@b.test", "a\\b.test", "printer.local", "hidden.onion", "localhost", "sub.localhost", "name.invalid"]),
    ("answers", BASE, "", ["one.test", "two.test", "six.test", "five.test", "scopes.test", "far.test", "mapped.test", "same.test", "alias.test", "broken-alias.test", "loop.test", "empty.test", "nothing.test", "lame.test", "cut.test",
        "wrong-id.test", "wrong-question.test", "other-owner.test", "garbage.test", "half.test", "half-silent.test", "extra.test", *CODES, "silent.test"]),
    ("a search list", BASE + "search s1.test s2.test\n", "", ["host", "only2", "nothing", "a.b", "a.b.c", "one.test", "one.test.", "single", "single.", "tld", "silent.test"]),
    ("ndots:3", BASE + "search s1.test s2.test\noptions ndots:3\n", "", ["host", "a.b", "a.b.c", "one.test", "nothing.test", "x.y.z.nothing.test"]),
    ("ndots:0", BASE + "search s1.test\noptions ndots:0\n", "", ["host", "single", "nothing"]),
    ("domain", BASE + "domain s2.test\n", "", ["host", "only2", "a.b"]),
    ("search .", BASE + "search .\n", "", ["host", "one.test", "single"]),
    ("several servers", "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1 attempts:2\n", "", ["one.test", "silent1.test", "fail1.test", "nx1.test", "refuse1.test"]),
    ("a server that is down", "nameserver 127.0.0.3\nnameserver 127.0.0.1\noptions timeout:1 attempts:2\n", "", ["one.test", "two.test", "nothing.test"]),
    ("rotate", "nameserver 127.0.0.1\nnameserver 127.0.0.2\noptions timeout:1 attempts:2 rotate\n", "", ["one.test", "one.test", "two.test", "six.test"]),
    ("four servers", "nameserver 127.0.0.3\nnameserver 127.0.0.4\nnameserver 127.0.0.5\nnameserver 127.0.0.1\noptions timeout:1 attempts:1\n", "", ["one.test"]),
    ("use-vc", BASE + "options use-vc\n", "", ["one.test"]),
    ("single-request", BASE + "options single-request\n", "", ["two.test"]),
    ("lines that are none", "; comment\n# another\nnameserver\nnameserver nowhere\nnameserver 127.0.0.1\noptions timeout:x attempts:-1 ndots:x bogus\nsortlist 1.2.3.4\nlookup file bind\n", "", ["one.test", "host"]),
    ("spaces and tabs", "  nameserver 127.0.0.9\nnameserver\t127.0.0.1\t# here\noptions\ttimeout:1\n", "", ["one.test"]),
    ("timeout:0 attempts:0", "nameserver 127.0.0.1\noptions timeout:0 attempts:0\n", "", ["one.test"]),
    ("ndots:99", BASE + "search s1.test\noptions ndots:99\n", "", ["a.b.c", "one.test"]),
    ("no servers", "", "", ["one.test"]),
    ("hosts", BASE, HOSTS, ["Host-A", "host-a", "alias-a", "ALIAS-A.", "scoped", "broken", "dotted", "dotted.", "localhost", "one.test"]),
]


def part_resolve(a, tmp):
    who = {"hickory": [f"{a.target_dir}/release/packages", "resolve", "hickory"], "ours": [f"{a.target_dir}/release/packages", "resolve", "ours"]}
    go = [f"{a.target_dir}/reference", "resolve"]
    servers = [NameServer("127.0.0.1"), NameServer("127.0.0.2")]
    def ask(command, name, rotate):
        for server in servers: server.queries.clear()
        done = subprocess.run(command, input=name + "\n", capture_output=True, text=True, timeout=60)
        text = (done.stdout.strip("\n") or "fault\t0").rpartition("\t")
        sent = [query for server in servers for query in server.queries]
        # Which family of a name comes first is chance, in Go too.
        if rotate: sent = [(query[0], *query[2:]) for query in sent]
        return text[0], sorted(sent), float(text[2])
    rows, lists = [], {name: [] for name in who}
    for about, conf, hosts, names in SETUPS:
        open("/etc/resolv.conf", "w").write(conf)
        open("/etc/hosts", "w").write(hosts)
        counts = {name: [0, 0] for name in who}
        for name in names:
            want = ask(go, name, "rotate" in conf)
            for kind, command in who.items():
                got = ask(command, name, "rotate" in conf)
                for index, (is_other, what) in enumerate([(got[0] != want[0], 0), (got[1] != want[1], 1)]):
                    if is_other:
                        counts[kind][index] += 1
                        show = lambda value: value[what] if what == 0 else ", ".join(" ".join(query) for query in value[1]) or "nothing"
                        lists[kind].append(f"{about}, {name[:40]!r}: {('', 'asked ')[what]}{show(got)}, Go {show(want)}")
        rows.append([about, len(names), *[f"{counts[kind][0]}, {counts[kind][1]}" for kind in who]])
    total = sum(row[1] for row in rows)
    sums = [", ".join(str(sum(int(row[2 + i].split(", ")[j]) for row in rows)) for j in (0, 1)) for i in range(2)]
    print(f"\n## Looking names up\n\nLookups whose result (addresses and their order, or the kind of error), and whose queries to the name servers, are not Go's.\n")
    table(["files", "names", "hickory-resolver: result, queries", "go-resolve: result, queries"], [*rows, ["all", total, *sums]])
    if a.v: listed(lists)
    # What a lookup costs, and whether each asks: the cache is off.
    open("/etc/resolv.conf", "w").write(BASE)
    open("/etc/hosts", "w").write("")
    rows, count = [], 8000
    for kind, command in {"Go": go[:1], "hickory-resolver": who["hickory"][:1], "go-resolve": who["ours"][:1]}.items():
        words = {"Go": [], "hickory-resolver": ["hickory"], "go-resolve": ["ours"]}[kind]
        for server in servers: server.queries.clear()
        done = subprocess.run([*command, "resolve-cpu", *words, str(count)], capture_output=True, text=True, timeout=300)
        rows.append([kind, done.stdout.strip() or done.stderr[-60:], 2 * count + 2, len(servers[0].queries)])
    print("\n8,000 lookups of 200 names, sixteen at a time, for both families, without a cache:\n")
    table(["", "CPU per lookup, us", "queries due", "queries sent"], rows)


# ------------------------------------------------------------------------------------------------ ping
def part_ping(a, tmp):
    rows = []
    for count, rounds in ((100, 50), (1000, 5), (1000, 20)):
        cells = []
        for who in ("surge", "ours"):
            done = subprocess.run([f"{a.target_dir}/release/packages", "ping", who, str(count), str(rounds)], capture_output=True, text=True, timeout=300)
            answered, all_, cpu = done.stdout.split()
            cells += [int(all_) - int(answered), cpu]
        rows.append([f"{count} at once, {rounds} times", *cells])
    print("\n## Pings\n\nEach to another address of this machine, 28 bytes of payload, five seconds to be answered.\n")
    table(["", "surge-ping: lost", "CPU per ping, us", "ping-engine: lost", "CPU per ping, us"], rows)


# ------------------------------------------------------------------------------------------------ yaml
def part_yaml(a, tmp):
    sys.path.insert(0, SUITE)
    import harness, recorded
    spec = importlib.util.spec_from_file_location("case_config", f"{SUITE}/cases/config.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    texts = []
    class Lab:
        """Stands for the suite's: keeps the texts, and takes upstream's verdicts from the record."""
        def check(self, text):
            texts.append(text)
            return 0, ""
    expected, cases = recorded.Recorded(), []
    for case in harness.CASES.values():
        if not case.script or not case.name.startswith("config/"): continue
        texts.clear()
        try: case.script(Lab())
        except Exception: continue
        verdicts = [line.rpartition(": ") for line in expected.texts[case.name].splitlines()]
        if len(verdicts) == len(texts) and all(v[2] in ("accepted", "rejected") for v in verdicts):
            cases += [(f"{case.name}, {v[0]}", text, v[2]) for v, text in zip(verdicts, texts)]
    seen = {}
    def judged(text):
        if text not in seen:
            path = f"{tmp}/config.yml"
            open(path, "w", newline="").write(text)
            done = subprocess.run([a.exporter, f"--config.file={path}", "--config.check"], capture_output=True)
            seen[text] = "rejected" if done.returncode else "accepted"
        return seen[text]
    rows, lists = [], {}
    # What the exporter decides otherwise on purpose is no matter of the reader.
    cases = [case for case in cases if judged(case[1]) == case[2]]
    # Texts that are mostly YAML: the configurations with some characters changed.
    chance, mutated = random.Random(1), []
    for _ in range(20000):
        text = list(chance.choice(cases)[1])
        for _ in range(chance.randint(1, 3)):
            at = chance.randrange(len(text) + 1)
            text[at : at + chance.randint(0, 2)] = chance.choice([*" \n\t:-?#&*!|>'\"%@`{}[],\\~a1", "", "\n  ", ": ", " #", "- "])
        mutated.append("".join(text))
    def syntax(package): return json.loads(subprocess.run([f"{a.target_dir}/release/packages", "yaml-syntax", package], input=json.dumps(mutated), capture_output=True, text=True, timeout=600).stdout)
    wanted = syntax("go-yaml")
    for package in ("serde_yaml", "serde_norway", "serde_yaml_ng", "serde-saphyr", "saphyr"):
        done = subprocess.run([f"{a.target_dir}/release/packages", "yaml", package], input=json.dumps([text for _, text, _ in cases]), capture_output=True, text=True, timeout=300)
        if done.returncode:
            rows.append([package, "ended: " + done.stderr.strip()[-80:], "", ""])
            continue
        read = json.loads(done.stdout)
        refused = accepted = 0
        lists[package] = []
        for (name, text, want), got in zip(cases, read):
            verdict = judged(got["Ok"]) if "Ok" in got else "rejected"
            if verdict == want: continue
            refused += want == "accepted"
            accepted += want == "rejected"
            lists[package].append(f"{name}: {verdict}, upstream {want} ({got.get('Err') or got['Ok'][:80]})")
        got = syntax(package)
        other = [(text, is_read) for text, is_read, want in zip(mutated, got, wanted) if is_read != want]
        lists[package] += [f"{text!r}: {'read' if is_read else 'refused'}" for text, is_read in other[:40]]
        rows.append([package, refused, accepted, sum(not is_read for _, is_read in other), sum(is_read for _, is_read in other)])
    print(f"\n## YAML\n\n{len(cases)} configurations with upstream's recorded verdict, read by a package and judged by the exporter's checks.\n")
    print(f"Then {len(mutated):,} of them with one to three changes: what is YAML to a package and not to go-yaml, which agrees with Go about such files, and the other way round.\n")
    table(["package", "configurations refused, upstream accepts", "accepted, upstream refuses", "changed texts refused, go-yaml reads", "read, go-yaml refuses"], rows)
    if a.v: listed(lists)


# ------------------------------------------------------------------------------------------------ http
OK = "Content-Length: 2\r\n\r\nok"
RESPONSES = [   # what a server writes before it closes the connection
    *[f"{line}\r\n{OK}" for line in ("HTTP/1.1 200 OK", "HTTP/1.1 200", "HTTP/1.1 200 ", "HTTP/1.0 200 OK", "HTTP/1.2 200 OK", "HTTP/1.9 200 OK", "HTTP/2.0 200 OK", "HTTP/3.0 200 OK", "HTTP/0.9 200 OK", "HTTP/1.10 200 OK",
        "HTTP/1 200 OK", "http/1.1 200 OK", "HTTP/1.1  200 OK", "HTTP/1.1 042 OK", "HTTP/1.1 20 OK", "HTTP/1.1 2000 OK", "HTTP/1.1 000 OK", "HTTP/1.1 999 OK", "HTTP/1.1 +20 OK", "HTTP/1.1 abc OK", "HTTP/1.1\t200 OK", "ICY 200 OK",
        "HTTP/1.1 200 \xe9", "HTTP/1.1 200 O\x01K", " HTTP/1.1 200 OK", "\r\nHTTP/1.1 200 OK", "HTTP/1.1 204 No", "HTTP/1.1 304 Not", "HTTP/1.1 101 Switch", "HTTP/1.1 100 Continue")],
    *[f"HTTP/1.1 200 OK\r\n{header}\r\n{OK}" for header in ("A: \xe9", "A: x\x01y", "A : x", "A x", "A:", ": x", "A B: x", "(A): x", "A: x\r\n y", " A: x", "A: x\x00", "A: x\ry", "A: " + "x" * 70000, "\r\n".join(f"A{i}: x" for i in range(101)), "\r\n".join(f"A{i}: x" for i in range(3000)),
        "Content-Length: 2", "Content-Length: 3", "Content-Length: +2", "Transfer-Encoding: identity", "Transfer-Encoding: gzip, chunked", "Transfer-Encoding: Chunked", "Connection: close")],
    *[f"HTTP/1.1 200 OK\r\nContent-Length: {value}\r\n\r\nok" for value in ("2", " 2 ", "+2", "-2", "2,2", "2, 2", "02", "0x2", "", "3", "1", "99999999999999999999", "9223372036854775808")],
    *[f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}" for body in ("2\r\nok\r\n0\r\n\r\n", "2;x=y\r\nok\r\n0\r\n\r\n", "02\r\nok\r\n0\r\n\r\n", "0x2\r\nok\r\n0\r\n\r\n", "2 \r\nok\r\n0\r\n\r\n", " 2\r\nok\r\n0\r\n\r\n", "2\nok\n0\n\n", "2\r\nok0\r\n\r\n",
        "2\r\nok\r\n0\r\n", "2\r\nok\r\n0\r\nA: b\r\n\r\n", "2\r\nok\r\n0\r\nA b\r\n\r\n", "2\r\nok\r\n", "3\r\nok\r\n0\r\n\r\n", "2\r\nok\r\n00000\r\n\r\n", "2\r\nok\r\n-0\r\n\r\n", "ffffffffffffffff\r\nok", "2;" + "x" * 5000 + "\r\nok\r\n0\r\n\r\n", "\r\n2\r\nok\r\n0\r\n\r\n")],
    "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "HTTP/1.1 200 OK\n" + OK.replace("\r", ""), "HTTP/1.1 200 OK\r\n\r\nto the end", "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK", "", "ok", "HTTP/1.1 100 Continue\r\n\r\n" * 6 + "HTTP/1.1 200 OK\r\n" + OK,
    "HTTP/1.1 103 Early\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n" + OK, "HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", "HTTP/1.1 204 No\r\n\r\nbody", "HTTP/1.1 304 Not\r\n\r\nbody", "HTTP/1.1 200 OK\r\n" + OK + "more",
]
TARGETS = ["/plain", "/a b", "/%zz", "/a^b", "/a|b", "/a\\b", "/a/../b", "/./a", "//a", "/?a b", "/?a=^", "/?\"", "/é", "/a#b", "/{x}", "/`", "/<>", "/%2f", "/a%20b", "/?%zz", "/;a", "/[x]", "/a?b?c", "/?'", "/*"]


def part_http(a, tmp):
    got_targets = []
    class Server(socketserver.StreamRequestHandler):
        def handle(self):
            first = self.rfile.readline().decode("latin1").split(" ")[1:-1]
            while self.rfile.readline().strip(): pass
            path = " ".join(first)
            if (number := re.fullmatch(r"/odd/(\d+)", path)): return self.wfile.write(RESPONSES[int(number[1])].encode("latin1"))
            got_targets.append(path)
            self.wfile.write(("HTTP/1.1 200 OK\r\n" + OK).encode())
    socketserver.ThreadingTCPServer.allow_reuse_address = True
    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_address[1])
    results = {}
    for name, command in {"go": [f"{a.target_dir}/reference", "http", port], "reqwest": [f"{a.target_dir}/release/packages", "http", port]}.items():
        odd = subprocess.run(command, input="".join(f"/odd/{i}\n" for i in range(len(RESPONSES))), capture_output=True, text=True, timeout=300)
        sent = []
        for target in TARGETS:
            got_targets.clear()
            subprocess.run(command, input=target + "\n", capture_output=True, text=True, timeout=30)
            sent.append(got_targets[0] if got_targets else "nothing")
        results[name] = [line.split("\t")[0] for line in odd.stdout.splitlines()], sent
    lists = {"reqwest, responses": [f"{RESPONSES[i][:60]!r}: {r}, Go {g}" for i, (g, r) in enumerate(zip(results["go"][0], results["reqwest"][0])) if g != r],
        "reqwest, targets": [f"{t!r}: {r!r}, Go {g!r}" for t, g, r in zip(TARGETS, results["go"][1], results["reqwest"][1]) if g != r]}
    print("\n## HTTP/1.1 by reqwest (hyper)\n")
    table(["", "of", "not as Go's client"], [["responses: status and length of the body, or an error", len(RESPONSES), len(lists["reqwest, responses"])], ["paths and queries as they are sent", len(TARGETS), len(lists["reqwest, targets"])]])
    if a.v: listed(lists)


def part_http2(a, tmp):
    done = subprocess.run([f"{a.target_dir}/release/packages", "http2"], capture_output=True, text=True, timeout=600)
    first, _, rest = done.stdout.partition("\n")
    differ, count = first.split()
    print("\n## HTTP/2 by h2\n")
    table(["", "of", "not as Go's client"], [["responses: status and length of the body, or an error", count, differ]])
    if a.v: listed({"h2": rest.splitlines()})


# ------------------------------------------------------------------------------------------------ pages
def table(head, rows):
    print("| " + " | ".join(head) + " |\n|" + "---|" * len(head))
    for row in rows: print("| " + " | ".join(str(cell) for cell in row) + " |")


def listed(lists):
    for name, lines in lists.items():
        print(f"\n{name}:\n" + "\n".join("- " + line for line in lines))


def versions():
    lock = open(f"{HERE}/Cargo.lock").read()
    names = ("h2", "hickory-resolver", "reqwest", "saphyr", "serde-saphyr", "serde_norway", "serde_yaml", "serde_yaml_ng", "surge-ping")
    found = dict(re.findall(r'name = "(.+)"\nversion = "(.+)"', lock))
    return ", ".join(f"{name} {found[name]}" for name in names)


def main():
    a = arguments()
    isolate(a)
    print(versions())
    with tempfile.TemporaryDirectory() as tmp:
        network(tmp)
        for part in a.only.split(","): globals()[f"part_{part}"](a, tmp)


main()
