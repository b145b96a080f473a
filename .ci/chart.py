#!/usr/bin/env python3
"""Renders the Helm chart with every part of it turned on and checks each object against the API's types, as .ci/manifests.py does.

Without helm on the PATH it is skipped, and says so: Debian has no package of it.
"""
import os
import shutil
import subprocess
import sys

os.chdir(os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
CHART = "deploy/helm/blackbox-exporter"
EVERYTHING = """
kind: Deployment
secretConfig: true
policy: {preset: no-link-local}
targets: {targets: [{name: site, target: "https://example.com", module: http_2xx}]}
webConfig: {basic_auth_users: {scraper: $2y$10$abcdefghijklmnopqrstuv}}
podDisruptionBudget: {minAvailable: 1}
networkPolicy: {enabled: true, allowMonitoringNamespace: true}
ingress: {enabled: true}
serviceMonitor:
  selfMonitor: {enabled: true}
  enabled: true
  targets: [{name: example, url: "https://example.com", hostname: example.com}]
probes: [{name: websites, targets: ["https://example.com"], labels: {team: web}}]
prometheusRule: {enabled: true}
dashboards: {enabled: true}
topologySpreadConstraints:
  - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway}
"""

if not shutil.which("helm"):
    print("skipped: helm is not here")
    sys.exit()
subprocess.run(["helm", "lint", "--quiet", "--kube-version", "1.31.0", CHART], check=True)
rendered = ""
for values in "", EVERYTHING, "{kind: DaemonSet, hostNetwork: true, hostPort: 9115}":
    command = ["helm", "template", "test", CHART, "--kube-version", "1.31.0", "--values", "-"]
    rendered += "\n---\n" + subprocess.run(command, check=True, input=values, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
subprocess.run(["/usr/bin/python3", ".ci/manifests.py", "-"], check=True, input=rendered, text=True)
