#!/usr/bin/env python3
"""Renders the Helm chart with every part of it turned on and checks each object against the API's types, as .ci/manifests.py does.
The debug build of the exporter, if there is one, loads the rendered configuration and targets files.

Without helm on the PATH it is skipped, and says so: Debian has no package of it.
"""
import os
import shutil
import subprocess
import sys
import tempfile

import yaml

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
CHART = "deploy/helm/blackbox-exporter"
EVERYTHING = """
kind: Deployment
secretConfig: true
policy: {preset: no-link-local}
targets: {targets: [{name: site, address: "https://example.com", module: http_2xx}]}
webConfig: {basic_auth_users: {scraper: $2y$10$abcdefghijklmnopqrstuv}}
podDisruptionBudget: {minAvailable: 1}
networkPolicy: {enabled: true, allowMonitoringNamespace: true}
ingress: {enabled: true}
serviceMonitor:
  selfMonitor: {enabled: true, basicAuth: &login {username: {name: login, key: user}, password: {name: login, key: password}}}
  enabled: true
  basicAuth: *login
  targets: [{name: example, url: "https://example.com", hostname: example.com}]
probes: [{name: websites, targets: ["https://example.com"], labels: {team: web}}]
prometheusRule: {enabled: true}
dashboards: {enabled: true}
topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}
"""

# As the community's chart takes them, and TLS.
COMMUNITY = """
secretConfig: true
configExistingSecretName: ignored
policy: {preset: no-link-local}
webConfig: {tls_server_config: {cert_file: /tls/tls.crt, key_file: /tls/tls.key}}
containerPort: 8080
extraArgs: ["--web.listen-address=:8080"]
extraEnv: {HTTP_PROXY: "http://proxy:3128"}
extraContainers: "- {name: '{{ .Release.Name }}', image: example.com/sidecar}"
hostAliases: [{ip: 192.0.2.1, hostNames: [a.example.com]}]
probes: [{name: websites, targets: ["https://example.com"], tlsConfig: {insecureSkipVerify: true}, basicAuth: {username: {name: login, key: user}}}]
serviceMonitor: {selfMonitor: {enabled: true}, enabled: true, targets: [{name: a, url: "https://example.com", module: other}, {name: b, url: "https://example.org"}]}
"""
# What people turn off, as in the community's chart.
NULLS = "{livenessProbe: null, readinessProbe: null, config: null, prometheusRule: null, dashboards: null, health: null, service: null, serviceAccount: null, ingress: null, networkPolicy: null, webConfig: {http_server_config: {http2: false}}}"
# What an existing Secret replaces must not be dropped silently.
REFUSED = "policy: {preset: no-link-local}", "targets: {targets: []}", "webConfig: {http_server_config: {http2: false}}"
EXPORTER = os.path.join(os.environ.get("CARGO_TARGET_DIR", "target"), "debug", "blackbox_exporter")


def render(values):
    command = ["helm", "template", "test", CHART, "--kube-version", "1.31.0", "--values", "-"]
    return subprocess.run(command, input=values, capture_output=True, text=True)


def load(files):
    """Has the exporter load the files of a rendered ConfigMap or Secret."""
    with tempfile.TemporaryDirectory() as folder:
        for name, text in files.items():
            with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
                file.write(text)
        command = [os.path.abspath(EXPORTER), "--config.check", "--log.level=error", "--config.file=blackbox.yaml"]
        command += ["--targets.file=targets.yaml"] if "targets.yaml" in files else []
        subprocess.run(command, check=True, cwd=folder)


if not shutil.which("helm"):
    print("skipped: helm is not here")
    sys.exit()
subprocess.run(["helm", "lint", "--quiet", "--kube-version", "1.31.0", CHART], check=True)
rendered = ""
for values in "", EVERYTHING, COMMUNITY, NULLS, "{kind: DaemonSet, hostNetwork: true, hostPort: 9115}":
    result = render(values)
    if result.returncode:
        sys.exit(result.stderr)
    rendered += "\n---\n" + result.stdout
subprocess.run(["/usr/bin/python3", ".ci/manifests.py", "-"], check=True, input=rendered, text=True)

community = render(COMMUNITY).stdout
assert community.count("scheme: HTTPS") == 2, "the kubelet's probes do not use HTTPS"
assert community.count("scheme: https") == 4, "the Operator's scrapes do not use HTTPS"
assert render(COMMUNITY.replace("selfMonitor: {", "selfMonitor: {scheme: http, ")).stdout.count("scheme: https") == 3, "a scheme that is set is ignored"
assert render(EVERYTHING).stdout.count("basicAuth:") == 2, "the ServiceMonitors have no password"
endpoints = [monitor["spec"]["endpoints"][0] for monitor in yaml.safe_load_all(community) if monitor and monitor["kind"] == "ServiceMonitor"]
named = {rule["replacement"] for one in endpoints for rule in one.get("metricRelabelings", []) if rule["targetLabel"] == "module"}
assert named == {"other", "http_2xx"}, f"the label module is {named}: pages cannot be linked to"
assert community.count("--web.listen-address") == 1, "a flag is passed twice"
assert "secretName: test-blackbox-exporter" in community, "secretConfig does not win"
assert "Probe:" not in render(NULLS).stdout, "a probe is not turned off"
assert "PrometheusRule" not in render("prometheusRule: {enabled: true, shipped: false}").stdout, "an object without groups"
for values in REFUSED:
    assert "would have no effect" in render("configExistingSecretName: mine\n" + values).stderr, f"{values} is dropped"
closed = EVERYTHING + "health: null\n"
assert "would get 401" in render(closed).stderr, "the kubelet's probes get 401"
other = "livenessProbe: null\nreadinessProbe: {httpGet: {httpHeaders: [{name: Host, value: x}]}}"
assert "would get 401" in render(closed + other).stderr, "a header that is no password is taken for one"
certificates = "health: null\nwebConfig: {tls_server_config: {cert_file: c, key_file: k, client_ca_file: a, client_auth_type: RequireAndVerifyClientCert}}"
assert "demands a client certificate" in render(certificates).stderr, "the kubelet's probes have no certificate"
own = render(closed + "livenessProbe: null\nreadinessProbe: {httpGet: {httpHeaders: [{name: Authorization, value: Basic YTpi}]}}")
assert not own.returncode, "a probe of the kubelet with a password is refused"
assert "probes need a service" in render(EVERYTHING + "service: null").stderr, "a Probe without its Service"
if not os.path.exists(EXPORTER):
    sys.exit(print(f"the configurations were not loaded: {EXPORTER} is not here"))
for document in yaml.safe_load_all(rendered):
    files = (document or {}).get("stringData") or (document or {}).get("data") or {}
    if "blackbox.yaml" in files:
        load(files)
