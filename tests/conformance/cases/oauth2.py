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
