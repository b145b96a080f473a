"""Reads expositions with Prometheus' own Python library: a JSON object with `format` and `text` a line, families in JSON back."""
import json
import struct
import sys

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families as text


def bits(value):
    return struct.pack(">d", float(value)).hex()


def sample(family, one):
    labels = dict(one.labels)
    if family.type == "histogram" and one.name.endswith("_bucket"):
        labels["le"] = bits(labels["le"])
    return {"name": one.name, "labels": labels, "value": bits(one.value)}


for line in sys.stdin:
    asked = json.loads(line)
    try:
        families = [
            {"name": f.name, "help": f.documentation, "kind": f.type, "samples": [sample(f, s) for s in f.samples]}
            for f in (openmetrics if asked["format"] == "openmetrics" else text)(asked["text"])
        ]
        answer = {"families": families}
    except Exception as error:
        answer = {"error": repr(error)}
    print(json.dumps(answer), flush=True)
