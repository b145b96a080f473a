"""The targets of the side-by-side measurements, the modules that probe them, and what a scraper asks for."""
import os
import sys
import time

from .processes import PEER, Process, shell

SPREAD = 16  # addresses of nginx
HTTP, TLS, RSA, BANNER, DNS, DOT, GRPC, HANG = 18080, 18443, 18444, 18025, 18053, 18853, 18051, 18099

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

MODULES = """modules:
  http: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4}}
  regex: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_body_not_matches_regexp: ["hello.*hello"]}}
  https: {prober: http, timeout: 5s, http: {preferred_ip_protocol: ip4, fail_if_not_ssl: true, tls_config: {ca_file: FOLDER/ca.crt}}}
  tcp: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4}}
  banner: {prober: tcp, timeout: 5s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: "^220 .*ready"}]}}
  icmp: {prober: icmp, timeout: 5s, icmp: {preferred_ip_protocol: ip4}}
  dns: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: www.example.test, query_type: A}}
  dot: {prober: dns, timeout: 5s, dns: {preferred_ip_protocol: ip4, query_name: www.example.test, query_type: A, transport_protocol: tcp, dns_over_tls: true, tls_config: {ca_file: FOLDER/ca.crt}}}
  grpc: {prober: grpc, timeout: 5s, grpc: {preferred_ip_protocol: ip4}}
  hang_http: {prober: http, timeout: 60s, http: {preferred_ip_protocol: ip4}}
  hang_tcp: {prober: tcp, timeout: 60s, tcp: {preferred_ip_protocol: ip4, query_response: [{expect: "never"}]}}
"""
MODULE_COUNT = MODULES.count("prober:")

UNBOUND = f"""server:
 interface: 127.0.0.1@{DNS}
 interface: 127.0.0.1@{DOT}
 port: {DNS}
 tls-port: {DOT}
 tls-service-key: FOLDER/ec.key
 tls-service-pem: FOLDER/ec.crt
 do-daemonize: no
 use-syslog: no
 chroot: ""
 username: ""
 directory: "FOLDER"
 pidfile: "FOLDER/ub.pid"
 access-control: 127.0.0.0/8 allow
 incoming-num-tcp: 1024
 num-threads: 1
 local-zone: "example.test." static
 local-data: "www.example.test. 300 IN A 192.0.2.1"
remote-control:
 control-enable: no
"""

STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"


def nginx():
    addresses = "".join(f"listen 127.0.0.{n}:{HTTP} backlog=4096; " for n in range(1, SPREAD + 1))
    hello = "default_type text/plain; return 200"

    def tls(port, key):
        return (
            f"server {{ listen 127.0.0.1:{port} ssl http2 backlog=4096; ssl_certificate FOLDER/{key}.crt; "
            f'ssl_certificate_key FOLDER/{key}.key; ssl_session_tickets off; location / {{ {hello} "hello\\n"; }} }}'
        )

    return f"""load_module {STREAM};
daemon off; worker_processes 1; pid FOLDER/nginx.pid; error_log FOLDER/nginx.err; worker_rlimit_nofile 65535;
events {{ worker_connections 20000; }}
http {{
 access_log off;
 client_body_temp_path FOLDER/b; proxy_temp_path FOLDER/p; fastcgi_temp_path FOLDER/f; uwsgi_temp_path FOLDER/u; scgi_temp_path FOLDER/s;
 server {{ {addresses} location / {{ {hello} "hello hello hello\\n"; }} location /r {{ return 302 /; }} }}
 {tls(TLS, "ec")}
 {tls(RSA, "rsa")}
}}
stream {{ server {{ listen 127.0.0.1:{BANNER} backlog=4096; return "220 mail.example ESMTP ready\\n"; }} }}
"""


def write(path, text, folder):
    with open(path, "w") as file:
        file.write(text.replace("FOLDER", folder))
    return path


def certificates(tmp):
    curve = "ec -pkeyopt ec_paramgen_curve:P-256"
    shell(f"openssl req -x509 -newkey {curve} -nodes -keyout {tmp}/ca.key -out {tmp}/ca.crt -days 30 -subj /CN=bench-ca")
    write(f"{tmp}/ext", "subjectAltName=DNS:localhost,IP:127.0.0.1\nbasicConstraints=CA:FALSE\nextendedKeyUsage=serverAuth\n", tmp)
    for name, kind in (("ec", curve), ("rsa", "rsa:2048")):
        shell(f"openssl req -newkey {kind} -nodes -keyout {tmp}/{name}.key -out {tmp}/{name}.csr -subj /CN=localhost")
        sign = f"-CA {tmp}/ca.crt -CAkey {tmp}/ca.key -CAcreateserial -days 30 -extfile {tmp}/ext"
        shell(f"openssl x509 -req -in {tmp}/{name}.csr -out {tmp}/{name}.crt {sign}")


def peers(tmp):
    """The processes of all targets."""
    if not os.path.exists(STREAM):
        sys.exit("apt-get install libnginx-mod-stream")
    certificates(tmp)
    log = f"{tmp}/peers.log"
    started = [
        Process(["nginx", "-c", write(f"{tmp}/nginx.conf", nginx(), tmp), "-p", tmp], log),
        Process(["unbound", "-d", "-c", write(f"{tmp}/unbound.conf", UNBOUND, tmp)], log),
        Process([PEER, "serve", str(GRPC), str(HANG)], log),
    ]
    time.sleep(1)
    return started


def config(tmp, modules=0):
    """A configuration with all modules, and more of them that nobody asks for."""
    more = "".join(
        f'  more_{i}: {{prober: http, timeout: 5s, http: {{fail_if_body_not_matches_regexp: ["hello {i}.*world"], headers: {{X-N: "{i}"}}}}}}\n'
        for i in range(modules)
    )
    return write(f"{tmp}/modules-{modules}.yml", MODULES + more, tmp)
