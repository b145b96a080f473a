#!/usr/bin/env python3
"""Checks every Kubernetes manifest of the examples against the API's types: no unknown field, no wrong type.

The types are those of the official client (Debian's python3-kubernetes), which are generated from the API's OpenAPI
description. The kinds of the Prometheus Operator are not in it; the fields that the examples use stand below.
"""
import glob
import re
import sys

import yaml
from kubernetes import client

OPERATOR = {
    "Probe": {
        "jobName": str, "prober": {"url": str, "path": str, "scheme": str}, "module": str, "interval": "duration",
        "scrapeTimeout": "duration", "targets": {"staticConfig": {"static": [str], "labels": dict}},
        "tlsConfig": dict, "basicAuth": dict,
    },
    "ServiceMonitor": {
        "jobLabel": str, "selector": {"matchLabels": dict},
        "endpoints": [{
            "port": str, "interval": "duration", "scrapeTimeout": "duration", "path": str, "scheme": str, "honorTimestamps": bool,
            "params": dict, "tlsConfig": dict, "basicAuth": dict, "relabelings": [dict], "metricRelabelings": [dict],
        }],
    },
    "ScrapeConfig": {
        "jobName": str, "scrapeInterval": "duration", "scrapeTimeout": "duration", "metricsPath": str,
        "httpSDConfigs": [{"url": str, "refreshInterval": "duration"}],
    },
    "PrometheusRule": {
        "groups": [{"name": str, "interval": "duration", "rules": [
            {"alert": str, "record": str, "expr": str, "for": "duration", "labels": dict, "annotations": dict},
        ]}],
    },
}
PLAIN = {"str": str, "int": int, "bool": bool, "float": (int, float), "object": object}
faults = []


def check(value, kind, where):
    """Compares a value with a type as the client writes it: `V1PodSpec`, `list[str]`, `dict(str, str)`."""
    if match := re.fullmatch(r"list\[(.*)\]", kind):
        if not isinstance(value, list):
            return faults.append(f"{where}: not a list")
        for index, item in enumerate(value):
            check(item, match[1], f"{where}[{index}]")
    elif match := re.fullmatch(r"dict\(str, (.*)\)", kind):
        if not isinstance(value, dict):
            return faults.append(f"{where}: not a map")
        for key, item in value.items():
            check(item, match[1], f"{where}.{key}")
    elif kind in PLAIN:
        # Ports and quantities may be numbers or names.
        if not isinstance(value, PLAIN[kind]) or (kind == "int" and isinstance(value, bool)):
            faults.append(f"{where}: {value!r} is no {kind}")
    else:
        model = getattr(client, kind)
        if not isinstance(value, dict):
            return faults.append(f"{where}: not a {kind}")
        fields = {name: model.openapi_types[attribute] for attribute, name in model.attribute_map.items()}
        for key, item in value.items():
            if key in fields:
                check(item, fields[key], f"{where}.{key}")
            else:
                faults.append(f"{where}: {kind} has no field {key}")


def check_shape(value, shape, where):
    """Compares a value with one of the shapes of OPERATOR."""
    if isinstance(shape, dict):
        for key, item in value.items():
            if key in shape:
                check_shape(item, shape[key], f"{where}.{key}")
            else:
                faults.append(f"{where}: no field {key}")
    elif isinstance(shape, list):
        for index, item in enumerate(value):
            check_shape(item, shape[0], f"{where}[{index}]")
    elif shape == "duration":
        if not re.fullmatch(r"(\d+h)?(\d+m)?(\d+s)?(\d+ms)?", value):
            faults.append(f"{where}: {value!r} is no duration")
    elif not isinstance(value, shape):
        faults.append(f"{where}: {value!r} is no {shape.__name__}")


def check_document(document, path):
    where = f"{path}: {document.get('kind')}"
    version, kind = document.get("apiVersion", ""), document.get("kind", "")
    if version == ("monitoring.coreos.com/v1alpha1" if kind == "ScrapeConfig" else "monitoring.coreos.com/v1") and kind in OPERATOR:
        check(document["metadata"], "V1ObjectMeta", f"{where}.metadata")
        return check_shape(document["spec"], OPERATOR[kind], f"{where}.spec")
    versions = ("apps/v1", "v1", "policy/v1", "networking.k8s.io/v1")
    model = ("V1" if version in versions else "") + kind
    if not hasattr(client, model) or model == kind:
        return faults.append(f"{where}: unknown apiVersion {version} or kind {kind}")
    check(document, model, where)


paths = sorted(glob.glob("examples/kubernetes/*.yaml"))
count = 0
for path in paths:
    for document in yaml.safe_load_all(open(path)):
        if path.endswith(("helm-values.yaml", "kustomization.yaml")):
            continue
        count += 1
        check_document(document, path)
for document in yaml.safe_load_all(sys.stdin.read()) if "-" in sys.argv else []:
    if document:
        count += 1
        check_document(document, "rendered")
print("\n".join(faults) or f"{count} manifests have only known fields of the right types")
sys.exit(1 if faults or not count else 0)
