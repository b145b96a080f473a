"""What was measured with: the machine, the programs and their versions."""
import datetime
import os
import platform
import re
import subprocess

from .processes import ROOT


def said(*argv):
    """What a command printed, standard error included; empty without the command."""
    try:
        done = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return done.stdout.strip()
    except FileNotFoundError:
        return ""


def found(pattern, text):
    match = re.search(pattern, text, re.M)
    return match.group(1).strip() if match else "unknown"


def read(path):
    with open(path) as file:
        return file.read()


def machine():
    memory = int(found(r"^MemTotal:\s+(\d+)", read("/proc/meminfo"))) / 2**20
    return {
        "processor": found(r"^model name\s*:\s*(.*)$", read("/proc/cpuinfo")),
        "cores": os.cpu_count(),
        "memory": f"{memory:.0f} GiB",
        "kernel": f"Linux {platform.release()}",
        "system": found(r'^PRETTY_NAME="(.*)"$', read("/etc/os-release")),
        "date": datetime.date.today().isoformat(),
    }


def exporter(binary):
    """Its name in the tables, and its version."""
    version = said(binary, "--version")
    upstream = re.match(r"blackbox_exporter, version ([0-9.]+)", version)
    go = re.search(r"go version:\s+(go\S+)", version)
    return {
        "label": f"upstream {upstream.group(1)}" if upstream and go else os.path.basename(binary),
        "version": " ".join(filter(None, [version.split("\n")[0].split(" (")[0], f"({go.group(1)})" if go else ""])),
    }


def programs(binaries):
    versions = {name: exporter(binary) for name, binary in binaries}
    ours = dict(binaries)["ours"]
    said_by_ours = said(ours, "--version")
    versions["ours"] |= {
        "label": "ours",
        "commit": found(r"revision: (\w{10})", said_by_ours),
        "compiler": found(r"go version:\s+(\S+)", said_by_ours),
        "profile": os.path.basename(os.path.dirname(os.path.abspath(ours))),
    }
    peers = {
        "nginx": found(r"nginx/(\S+)", said("nginx", "-v")),
        "unbound": found(r"Version (\S+)", said("unbound", "-V")),
        "wrk": found(r"wrk (?:debian/)?(\S+)", said("wrk", "-v")),
    }
    return versions, peers
