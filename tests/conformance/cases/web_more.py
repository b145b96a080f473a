"""The web configuration file. Recorded from upstream with run.py --record."""
import socket

from around import BASIC, client_context, lines
from harness import script


@script("web-more/cipher-order", about="AES-128 is taken first, whatever the client prefers")
def _(lab):
    out = []
    for cert in ("direct", "rsa"):
        lab.file("web.yml", f"tls_server_config:\n  cert_file: {{certs}}/{cert}.pem\n  key_file: {{certs}}/{cert}.key\n")
        e = lab.start(BASIC, args=["--web.config.file={dir}/web.yml"])
        for high in ("TLSv1_2", "TLSv1_3"):
            with socket.create_connection(("127.0.0.1", e.port), 5) as plain:
                with client_context(high=high).wrap_socket(plain, server_hostname="localhost") as s:
                    out.append(f"{cert} {high} {s.cipher()[0]}")
    return lines(*out)
