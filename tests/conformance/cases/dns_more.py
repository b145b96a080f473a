"""DNS records, EDNS options and streams that the suite has no cases of. Recorded from upstream with run.py --record."""
from dnswire import *

def dns(name, *args, **kw): dns_case("dns-more/" + name, *args, **kw)

def option(code, data): return u16(code, len(data)) + data
def tsig_data(name): return n(name) + b"\0\0" + u32(1782864000) + u16(300, 2) + b"\xab\xcd" + u16(0x1234, 0, 0)

RECORDS = [  # (case, type name, type number, data on the wire, its text after owner, TTL, class and type)
    ("md", "MD", 3, n("a.test"), "a.test."), ("mf", "MF", 4, n("a.test"), "a.test."), ("mb", "MB", 7, n("a.test"), "a.test."), ("mg", "MG", 8, n("a.test"), "a.test."), ("mr", "MR", 9, n("a.test"), "a.test."),
    ("minfo", "MINFO", 14, n("a.test") + n("b.test"), "a.test. b.test."), ("x25", "X25", 19, cs('31"1'), r"31\"1"), ("isdn", "ISDN", 20, cs("150", "004"), '"150" "004"'), ("isdn-no-subaddress", "ISDN", 20, cs("150"), '"150" ""'),
    ("rt", "RT", 21, u16(2) + n("a.test"), "2 a.test."), ("nsap-ptr", "NSAP-PTR", 23, n("a.test"), "a.test."), ("sig", "SIG", 24, rrsig(1, 1785542400, 1782864000), "A 13 2 300 20260801000000 20260701000000 12345 example.test. " + B64),
    ("key", "KEY", 25, u16(256) + u8(3, 5) + HEX[:5], "256 3 5 AAECAwQ="), ("px", "PX", 26, u16(5) + n("a.test") + n("b.test"), "5 a.test. b.test."), ("gpos", "GPOS", 27, cs("-32.6882", "116.8652", "10.0"), "-32.6882 116.8652 10.0"),
    ("nxt", "NXT", 30, n("a.test") + bitmap(1, 6, 30), "a.test. A SOA NXT"), ("eid", "EID", 31, b"\xab\xcd", "ABCD"), ("nimloc", "NIMLOC", 32, b"\xab\xcd", "ABCD"), ("kx", "KX", 36, u16(1) + n("a.test"), "1 a.test."),
    ("cert-unnamed", "CERT", 37, u16(99, 77) + u8(99) + HEX[:5], "99 77 99 AAECAwQ="), ("cert-oid", "CERT", 37, u16(254, 0) + u8(254) + HEX[:5], "OID 0 PRIVATEOID AAECAwQ="),
    ("apl", "APL", 42, u16(1) + u8(21, 0x83) + b"\xc0\xa8\x20" + u16(2) + u8(32, 2) + b"\x20\x01", "!1:192.168.32.0/21 2:2001::/32"), ("apl-mapped", "APL", 42, u16(2) + u8(128, 16) + ip("::ffff:192.0.2.1"), "2:::ffff:192.0.2.1/128"),
    ("ipseckey", "IPSECKEY", 45, u8(10, 1, 2) + ip("192.0.2.38") + HEX[:5], "10 1 2 192.0.2.38 AAECAwQ="), ("ipseckey-none", "IPSECKEY", 45, u8(10, 0, 2) + HEX[:5], "10 0 2 . AAECAwQ="), ("ipseckey-v6", "IPSECKEY", 45, u8(10, 2, 2) + ip("2001:db8::1") + HEX[:5], "10 2 2 2001:db8::1 AAECAwQ="),
    ("ipseckey-mapped", "IPSECKEY", 45, u8(10, 2, 2) + ip("::ffff:192.0.2.1"), "10 2 2 192.0.2.1 "), ("ipseckey-name", "IPSECKEY", 45, u8(10, 3, 2) + n("gw.test") + HEX[:5], "10 3 2 gw.test. AAECAwQ="), ("ipseckey-kind-4", "IPSECKEY", 45, u8(10, 4, 2) + HEX[:5], "10 4 2 . AAECAwQ="), ("ipseckey-cut", "IPSECKEY", 45, u8(10, 1, 2), "10 1 2 <nil> "),
    ("dhcid", "DHCID", 49, HEX, B64), ("hip", "HIP", 55, u8(2, 2) + u16(3) + b"\xab\xcd" + b"\1\2\3" + n("rvs.test") + n("b.test"), "2 abcd AQID rvs.test. b.test."), ("hip-cut", "HIP", 55, u8(2, 2) + u16(3), "2  "), ("ninfo", "NINFO", 56, cs("a", "b"), '"a" "b"'),
    ("rkey", "RKEY", 57, u16(1) + u8(2, 3) + HEX[:5], "1 2 3 AAECAwQ="), ("talink", "TALINK", 58, n("a.test") + n("b.test"), "a.test. b.test."), ("uinfo", "UINFO", 100, cs("u"), '"u"'), ("uid", "UID", 101, u32(2**32 - 1), "4294967295"), ("gid", "GID", 102, u32(7), "7"),
    ("nid", "NID", 104, u16(10) + bytes.fromhex("00144fffff20ee64"), "10 0014:4fff:ff20:ee64"), ("l32", "L32", 105, u16(10) + ip("10.1.2.0"), "10 10.1.2.0"), ("l32-cut", "L32", 105, u16(10), "10"), ("l64", "L64", 106, u16(10) + bytes.fromhex("20010db811401000"), "10 2001:0DB8:1140:1000"), ("lp", "LP", 107, u16(10) + n("l.test"), "10 l.test."),
    ("nxname", "NXNAME", 128, b"", ""), ("avc", "AVC", 258, cs("a:b"), '"a:b"'), ("amtrelay", "AMTRELAY", 260, u8(10, 1) + ip("192.0.2.1"), "10 0 1 192.0.2.1"), ("amtrelay-name", "AMTRELAY", 260, u8(10, 3) + n("a.test"), "10 0 3 a.test."), ("amtrelay-discovery", "AMTRELAY", 260, u8(10, 0x80), "10 1 0 ."),
    ("resinfo", "RESINFO", 261, cs("qnamemin", "exterr=15,16,17"), '"qnamemin" "exterr=15,16,17"'), ("ta", "TA", 32768, u16(1) + u8(2, 3) + b"\xab", "1 2 3 AB"), ("dlv", "DLV", 32769, u16(1) + u8(2, 3) + b"\xab", "1 2 3 AB"),
    ("uri-escapes", "URI", 256, u16(1, 2) + rb'a\.\"\065\q' + b"\xff", r'1 2 "a\.\"Aq\255"'), ("caa-tag-quote", "CAA", 257, u8(0) + cs('a"b') + b"v", r'0 a\"b "v"'), ("loc-cut", "LOC", 29, u8(0, 0x12, 0x16, 0x13), "596 31 23.648 S 596 31 23.648 W -100000m 1m 10000m 10m"),
    ("soa-cut", "SOA", 6, n("a.test") + n("b.test") + u32(5), "a.test. b.test. 5 0 0 0 0"), ("srv-empty", "SRV", 33, b"", "0 0 0 "), ("mx-empty", "MX", 15, b"", "0 "), ("rrsig-empty", "RRSIG", 46, b"", "None 0 0 0 19700101000000 19700101000000 0  "), ("naptr-empty", "NAPTR", 35, b"", '0 0 "" "" "" '), ("nsec3-cut", "NSEC3", 50, u8(1, 0) + u16(10) + u8(4), "1 0 10 - "), ("eui48-empty", "EUI48", 108, b"", "00-00-00-00-00-00"),
    ("smimea-full-piece", "SMIMEA", 53, u8(3, 0, 1) + b"\xaa" * 512, "3 0 1 " + "aa" * 512 + " "), ("https-alpn-commas", "HTTPS", 65, svcb(1, ".", (1, cs("a,b", 'c\\d" '))), r'1 . alpn="a\\\044b,c\\\092d\"\ "'),
]
for name, kind, number, data, text in RECORDS:
    line = f"example.test.\t300\tIN\t{kind}\t{text}"
    dns("record-" + name, f"a {kind} record matched from end to end", tcp(fixed(rr(number, data))), transport_protocol="tcp", query_type=kind, show=("metrics",), validate_answer_rrs={"fail_if_not_matches_regexp": ["^" + re.escape(line) + "$"]})

for name, about, record, text in [
    ("null", "NULL is a comment with its octets", rr(10, b"a\xffb"), "^;example[.]test[.]\t300\tIN\tNULL\ta.b$"), ("type-without-printer", "a type with a name but no form", rr(34, b"\1\2"), r"^example[.]test[.]\t300\tCLASS1\tTYPE34\t\\# 2 0102$"),
    ("tkey", "TKEY is a comment", rr(249, n("gss.test") + u32(1782864000, 1785542400) + u16(3, 0, 2) + b"\xab\xcd" + u16(1) + b"\xef"), "^;example[.]test[.]\t300\tIN\tTKEY\t gss[.]test[.] 20260701000000 20260801000000 3 0 2 abcd 1 ef$"),
    ("tsig-in-answer", "TSIG among the answers is a comment", rr(250, tsig_data("hmac.test")), "^\n;; TSIG PSEUDOSECTION:\n; example[.]test[.]\t300\tIN\tTSIG\t hmac[.]test[.] 20260701000000 300 2 ABCD 4660 0 0 $"),
]: dns("text-" + name, about, udp(fixed(record)), show=("metrics",), validate_answer_rrs={"fail_if_not_matches_regexp": [text]})

BROKEN = [
    ("amtrelay-discovery-gateway", "a gateway behind the discovery bit is too much data", 260, u8(10, 0x81) + ip("192.0.2.1")), ("apl-zeros", "an APL address that ends in zeros", 42, u16(1) + u8(24, 3) + b"\xc0\xa8\0"), ("apl-family", "an unknown family", 42, u16(3) + u8(0, 0)), ("apl-prefix", "a prefix too long", 42, u16(1) + u8(33, 0)),
    ("hip-overrun", "a tag longer than the record", 55, u8(9, 2) + u16(3) + b"\xab"), ("nsec3-overrun", "a salt longer than the record", 50, u8(1, 0) + u16(0) + u8(9) + b"\xab"), ("nsec3-no-hash", "nothing behind the salt", 50, u8(1, 0) + u16(0) + u8(1) + b"\xab"), ("bitmap-empty", "an empty block", 47, n("a.test") + b"\0\0"), ("bitmap-long", "a block of 33 octets", 47, n("a.test") + b"\0\x21" + b"\1" * 33),
    ("svcb-port", "a port of one octet", 64, svcb(1, ".", (3, b"\1"))), ("svcb-hint", "a hint of three octets", 64, svcb(1, ".", (4, b"\1\2\3"))), ("svcb-hint-empty", "an empty hint", 64, svcb(1, ".", (4, b""))), ("svcb-mapped", "an IPv4 address as IPv6 hint", 64, svcb(1, ".", (6, ip("::ffff:192.0.2.1")))), ("svcb-no-default-alpn", "a value where none may be", 64, svcb(1, ".", (2, b"x"))), ("svcb-reserved", "the reserved key", 64, svcb(1, ".", (65535, b""))), ("svcb-twice", "a key twice", 64, svcb(1, ".", (3, u16(1)), (3, u16(1)))), ("svcb-alpn-overrun", "a protocol longer than its list", 64, svcb(1, ".", (1, b"\5h2"))),
    ("any-with-data", "ANY has no data", 255, b"\1"), ("tkey-overrun", "a key longer than the record", 249, n("a.test") + u32(0, 0) + u16(0, 0, 9) + b"\1"), ("name-long", "a name of 256 octets", 5, cs(*["a" * 63] * 3, "b" * 62) + b"\0"), ("caa-overrun", "a tag longer than the record", 257, u8(0, 9) + b"a"),
]
for name, about, number, data in BROKEN: dns("broken-" + name, about, udp(fixed(rr(number, data))), show=("metrics",))
dns("name-255", "the longest name that can be read", udp(fixed(rr(5, cs(*["a" * 63] * 3, "b" * 61) + b"\0"))), show=("metrics",))
DATA = 12 + 18 + 12
dns("pointers-126", "a name through 126 pointers", tcp(fixed(rr(10, b"".join(pointer(DATA + 2 * i) for i in range(1, 126)) + b"\0\0", P), rr(5, pointer(DATA), P))), transport_protocol="tcp", show=("metrics",))
dns("pointers-127", "a name through 127 pointers", tcp(fixed(rr(10, b"".join(pointer(DATA + 2 * i) for i in range(1, 127)) + b"\0\0", P), rr(5, pointer(DATA), P))), transport_protocol="tcp", show=("metrics",))
dns("tsig-last", "a signature that nobody can verify", udp(fixed(A1, ar=[rr(250, tsig_data("hmac.test"), cls=255, ttl=0)])), show=("metrics",))
dns("two-opt", "the last of two OPT records has the rcode", udp(fixed(A1, ar=[rr(41, b"", ".", ttl=0, cls=512), rr(41, b"", ".", ttl=3 << 24, cls=512)])), show=("metrics",), valid_rcodes=["NOERROR"])
dns("opt-in-answer", "an OPT record among the answers has no rcode", udp(fixed(rr(41, b"", ".", ttl=1 << 24, cls=512))), show=("metrics",))

NO_OPTION = rr(41, b"", ".", ttl=0, cls=512)
@script("dns-more/opt-sections", about="what the log shows of a response: headings without records, and OPT records anywhere", peers={
    "one": udp(fixed(A1, ar=[NO_OPTION])), "two": udp(fixed(A1, ar=[NO_OPTION, NO_OPTION])), "glue": udp(fixed(A1, ar=[NO_OPTION, GLUE, NO_OPTION])), "answer": udp(fixed(A1, NO_OPTION)), "authority": udp(fixed(A1, ns=[NO_OPTION])), "none": udp(fixed(A1, ns=[GLUE], ar=[GLUE])),
})
def _(lab):
    e, out = lab.start("modules:\n  dns: {prober: dns, timeout: 2s, dns: {query_name: example.test, preferred_ip_protocol: ip4}}\n", args=["--log.prober=debug"]), []
    for name in lab.case.peers:
        told = e.request("/probe?module=dns&debug=true&target=" + lab.fill("127.0.0.1:{%s}" % name))[2].decode()
        out.append(name + " " + re.sub(r"id: \d+", "id: N", re.search(r'response=("(?:[^"\\]|\\.)*")', told)[1]))
    return "\n".join(out) + "\n"
OPTIONS = [
    ("flags", b"", "\n;; OPT PSEUDOSECTION:\n; EDNS: version 1; flags: do co; MBZ: 0x0003, udp: 1232", 0x1C003), ("nsid", option(3, b"ns1\xe9"), "\n; NSID: 6e7331e9  (n)(s)(1)(é)", 0), ("llq", option(1, u16(1, 2, 3) + u32(0, 4, 5)), "\n; LONG LIVED QUERIES: 1 2 3 4 5", 0), ("lease", option(2, u32(7)), "\n; UPDATE LEASE: 7 0", 0), ("lease-key", option(2, u32(7, 8)), "\n; UPDATE LEASE: 7 8", 0),
    ("esu", option(4, b"sip:a"), "\n; ESU: sip:a", 0), ("dau", option(5, u8(8, 15, 99)), "\n; DNSSEC ALGORITHM UNDERSTOOD:  RSASHA256 ED25519 99", 0), ("dhu", option(6, u8(1, 2, 3, 4, 5, 6)), "\n; DS HASH UNDERSTOOD:  SHA1 SHA256 GOST94 SHA384 SHA512 6", 0), ("n3u", option(7, u8(1)), "\n; NSEC3 HASH UNDERSTOOD:  SHA1", 0),
    ("subnet", option(8, u16(1) + u8(24, 0) + u8(192, 0, 2)), "\n; SUBNET: 192.0.2.0/24/0", 0), ("subnet-v6", option(8, u16(2) + u8(32, 48) + u8(0x20, 1, 13, 0xb8)), "\n; SUBNET: [2001:db8::]/32/48", 0), ("subnet-none", option(8, u16(0) + u8(0, 9)), "\n; SUBNET: 0.0.0.0/0/9", 0), ("expire", option(9, u32(9)), "\n; EXPIRE: 9", 0), ("expire-empty", option(9, b""), "\n; EXPIRE: ", 0),
    ("cookie", option(10, HEX[:16]), "\n; COOKIE: " + HEX[:16].hex(), 0), ("keepalive", option(11, u16(655)), "\n; KEEPALIVE: use tcp keep-alive, timeout 65500ms", 0), ("keepalive-wraps", option(11, u16(656)), "\n; KEEPALIVE: use tcp keep-alive, timeout 64ms", 0), ("keepalive-none", option(11, b""), "\n; KEEPALIVE: use tcp keep-alive, timeout omitted", 0), ("padding", option(12, b"\0\xab"), "\n; PADDING: 00AB", 0),
    ("ede", option(15, u16(22) + b"why"), "\n; EDE: 22 (No Reachable Authority): (why)", 0), ("ede-unnamed", option(15, u16(99)), "\n; EDE: 99: ()", 0), ("report", option(18, n("agent.test")), "\n; REPORT-CHANNEL: agent.test.", 0), ("zoneversion", option(19, u8(2, 0) + b"abc"), "\n; ZONEVERSION: abc", 0), ("local", option(65001, b"\xab"), "\n; LOCAL OPT: 65001:0xab", 0), ("two", option(3, b"a") + option(12, b""), "\n; NSID: 61  (a)\n; PADDING: ", 0),
]
for name, data, text, ttl in OPTIONS:
    dns("edns-" + name, "an EDNS option as dig prints it", udp(fixed(A1, ar=[rr(41, data, ".", ttl=ttl, cls=1232)])), show=("metrics",), validate_additional_rrs={"fail_if_not_matches_regexp": [re.escape(text) + "$"]})
for name, data in [("overrun", u16(3, 9) + b"a"), ("cut", b"\0\3\0"), ("subnet-short", option(8, b"\0\1")), ("subnet-mask", option(8, u16(1) + u8(33, 0))), ("subnet-family", option(8, u16(3) + u8(0, 0))), ("keepalive-3", option(11, b"\0\0\0")), ("ede-1", option(15, b"\0")), ("lease-5", option(2, b"\0" * 5)), ("expire-3", option(9, b"\0" * 3)), ("llq-17", option(1, b"\0" * 17)), ("report-cut", option(18, b"\5agent")), ("zoneversion-1", option(19, b"\0"))]:
    dns("edns-broken-" + name, "an EDNS option that cannot be read", udp(fixed(A1, ar=[rr(41, data, ".", ttl=0, cls=1232)])), show=("metrics",))

# -------------------------------------------------------------------------------------- streams within TLS
D = {"transport_protocol": "tcp", "dns_over_tls": True, "target": "v4.test:{port}", "tls_config": {"ca_file": "{certs}/root.pem"}}
def drip(q):
    whole = reply(q, [A1]); return [bytes([b]) for b in struct.pack("!H", len(whole)) + whole]
for name, about, peer in [
    ("drip", "one octet a record", tls_peer(drip)), ("big", "60 KB", tls_peer(fixed(*[rr(16, b"".join(cs(LONG) for _ in range(20)))] * 11))), ("wrong-id", "an answer with another id", tls_peer(lambda q: reply(q, [A1], ident=wrong_id))), ("half", "closed within the answer", tls_peer(lambda q: [struct.pack("!H", 400) + reply(q, [A1])])),
    ("soa", "the serial over TLS", tls_peer(fixed(SOA))), ("two", "the first of two answers", tls_peer(lambda q: [b"".join(struct.pack("!H", len(m)) + m for m in (reply(q, [A1]), reply(q, [A1, A2])))])),
]: dns("tls-" + name, about, peer, **{**D, **({"query_type": "SOA"} if name == "soa" else {})})
dns("target-service-udp", "a port by name", peers={"server": udp(fixed(A1), host="127.0.0.74", port=53)}, target="127.0.0.74:domain")
dns("target-port-plus", "a port with a sign", udp(fixed(A1)), target="127.0.0.1:+{port}")
dns("target-port-empty", "an empty port is port 0", udp(fixed(A1)), target="127.0.0.1:", show=("metrics",))
dns("name-escaped-backslash", "an escaped backslash", udp(fixed(A1)), query_name=r"a\\b.test")
dns("name-escaped-end", "an escaped dot at the end is no end", udp(fixed(A1)), query_name="a.test\\.")
dns("name-backslash-end", "a lone backslash at the end is not sent", udp(fixed(A1)), query_name="a.test\\", show=("metrics",))
dns("name-ddd-wraps", "an escape above 255 wraps around", udp(fixed(A1)), query_name=r"a\300.test")
