"""Secrets that are only named in a secret manager, which no exporter has. Recorded from upstream with run.py --record."""
import textwrap

from harness import case, respond, with_tls

OAUTH2 = "client_id: i, token_url: 'http://127.0.0.1:1/'"
JWT = "grant_type: 'urn:ietf:params:oauth:grant-type:jwt-bearer'"
CLIENT = {
    "username": "basic_auth: {username_ref: x}",
    "password": "basic_auth: {username: a, password_ref: x}",
    "credentials": "authorization: {credentials_ref: x}",
    "client-secret": f"oauth2: {{{OAUTH2}, client_secret_ref: x}}",
    "client-certificate": f"oauth2: {{{OAUTH2}, {JWT}, client_certificate_key_ref: x}}",
    "oauth2-ca": f"oauth2: {{{OAUTH2}, client_secret: s, tls_config: {{ca_ref: x}}}}",
}
TLS = {
    "ca": "tls_config: {ca_ref: x}",
    "cert": "tls_config: {ca_file: '{certs}/root.pem', cert_ref: x, key_ref: y}",
    "key": "tls_config: {ca_file: '{certs}/root.pem', cert_file: '{certs}/client.pem', key_ref: y}",
    "ca-skip": "tls_config: {ca_ref: x, insecure_skip_verify: true}",
}


def ref(name, prober, more, target, peer):
    section = textwrap.indent("preferred_ip_protocol: ip4\n" + more, "  ")
    case("refs/" + name, about=more.splitlines()[-1], target=target, peers={"port": peer}, show=("metrics", "received"), module=f"prober: {prober}\ntimeout: 2s\n{prober}:\n{section}")


for word, more in {**CLIENT, **TLS}.items():
    ref("http-" + word, "http", more, "http://v4.test:{port}/", respond())
for word, more in TLS.items():
    ref("tcp-" + word, "tcp", "tls: true\n" + more, "v4.test:{port}", with_tls(lambda conn: None))
    ref("tcp-plain-" + word, "tcp", more, "v4.test:{port}", lambda conn: None)
    ref("grpc-" + word, "grpc", "tls: true\n" + more, "v4.test:{port}", with_tls(lambda conn: None))
    ref("dns-" + word, "dns", "query_name: a.test\ntransport_protocol: tcp\ndns_over_tls: true\n" + more, "v4.test:{port}", with_tls(lambda conn: None))
