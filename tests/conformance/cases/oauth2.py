"""OAuth2: how long a token is used, and what an assertion says. Recorded from upstream with run.py --record."""
import base64, re, urllib.parse

from harness import *

JWT = "grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer', client_certificate_key_file: '{certs}/rsa.key'"


def module(more):
    return f"prober: http\ntimeout: 3s\nhttp:\n  preferred_ip_protocol: ip4\n  oauth2: {{client_id: me, token_url: 'http://127.0.0.1:{{token}}/token', {more}}}"


def grant(*fields):
    """Grants the same token again and again; of a request it logs only that it came, and what its assertion claims."""
    body = "{" + ", ".join(['"access_token": "t"', *fields]) + "}"
    def handler(conn):
        _, _, form = conn.read_request()
        assertion = urllib.parse.parse_qs(form.decode()).get("assertion")
        conn.log[:] = ["token"]
        if assertion:
            claims = base64.urlsafe_b64decode(assertion[0].split(".")[1] + "===").decode()
            conn.note(re.sub(r'"(iat|exp|jti)":("[^"]*"|[^,}]*)', r'"\1":?', claims))
        conn.send(f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n{body}")
    return handler


def hops(conn):
    """Redirects to itself until there are three."""
    number = int(conn.read_request()[0].split()[1][1:])
    status = "302 Found" if number < 3 else "200 OK"
    conn.send(f"HTTP/1.1 {status}\r\nLocation: /{number + 1}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")


for kind, more in [("secret", "client_secret: word"), ("jwt", JWT)]:
    for name, about, fields in [
        ("never", "no end is told", []),
        ("zero", "0 is no end", ['"expires_in": 0']),
        ("long", "it is good for longer than the probe", ['"expires_in": 3600']),
        ("short", "it is about to expire", ['"expires_in": 5']),
        ("past", "it expired before", ['"expires_in": -5']),
    ]:
        case(f"oauth2/{kind}-expires-{name}", about=about + ": how often is it asked for in three redirects", module=module(more), target="http://127.0.0.1:{port}/0", peers={"token": grant(*fields), "port": hops})

CLAIMS = ["2020-01-01", "2020-1-1", "2001-12-15 2:59:43.10", "2001-12-14t21:59:43.10-05:00", "2020-01-01T00:00:00.123456789Z", "!!timestamp '2020-01-01'", "'2020-01-01'", "2020-02-30", "2020-01-01T10:00:00",
          "1.0", "1e3", "1.50", "1e20", "1e21", "1e-7", "0.000001", "-0.0", "-0", "1234567.891", "100000.0", "5e-324", "3.0e+2", ".5", ".inf", "-.inf", ".nan", "0x10", "010", "1_000", "685_230.15",
          "9223372036854775807", "9223372036854775808", "18446744073709551615", "18446744073709551616", "99999999999999999999", "-9223372036854775809", "!!float 5", "!!int '5'", "!!str 5",
          "~", "true", "yes", "!!binary aGk=", "!!binary /w==", "'<b>&'", '"\\u2028\\x7f\\0\\n"', "é", "{}", "[]", "''", "!own x", "=",
          "{b: 1, a: 2}", "{a: {c: d}}", "{<<: {a: b}, c: d}", "[1, 2.5, ~, {x: y}]", "{1: a}", "{true: a}", "{1.5: a}", "{2020-01-01: a}", "{!!str 1: a}", "{'1': a}", "{a: {2: b}}", "[{1: 2}]", "{~: x}", "{b: 1, ~: 2, 3: ~}", "{b: 1, 10: 2, 9: 3, a: 4, false: 5}"]
SEEN = {}


def seen(conn):
    _, headers, form = conn.read_request()
    assertion = urllib.parse.parse_qs(form.decode())["assertion"][0]
    SEEN[re.search(r'"sub":"([^"]*)"', claims_of(assertion))[1]] = claims_of(assertion)
    conn.send('HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 21\r\nConnection: close\r\n\r\n{"access_token": "t"}')


def claims_of(assertion):
    return base64.urlsafe_b64decode(assertion.split(".")[1] + "===").decode()


@script("oauth2/claims", about="what is made of claims: in the assertion, in /config (yaml.v3) and with debug=true (yaml.v2)", peers={"token": seen, "port": respond()})
def _(lab):
    config = "modules:\n" + "".join(
        f"  m{i}: {{prober: http, timeout: 3s, http: {{preferred_ip_protocol: ip4, oauth2: {{client_id: m{i}, token_url: 'http://127.0.0.1:{{token}}/', {JWT}, claims: {{k: {value}}}}}}}}}\n" for i, value in enumerate(CLAIMS))
    e, out = lab.start(config), []
    whole = e.request("/config")[2].decode()
    claims = lambda text: repr(re.search(r"claims:\n(.*?\n) +token_url:", text, re.S)[1])
    for i, value in enumerate(CLAIMS):
        told = e.request(f"/probe?module=m{i}&debug=true&target=" + lab.fill("http://127.0.0.1:{port}/"))[2].decode()
        sent = re.search(r'"k":(.*),"sub"', SEEN.get(f"m{i}", ""))
        error = re.search(r"json: unsupported [^\"\\]*", told)
        out += [f"{value}  ->  {sent and sent[1]}  {error and error[0]}", claims(whole.partition(f"    m{i}:\n")[2]), claims(told)]
    return "\n".join(out) + "\n"
