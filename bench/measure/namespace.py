"""A network namespace of the measurement's own: its ports are free, nobody else's packets are in it, and its settings are known."""
import os
import subprocess
import sys

RANGE = "/proc/sys/net/ipv4/ping_group_range"


def isolate():
    """Runs this program again in a new namespace, if this user can have one; whether it is in one."""
    if os.environ.get("BENCH_NAMESPACE"):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # As systemd sets it: pings need no privilege.
        with open(RANGE, "w") as file:
            file.write("0 2147483647")
        return True
    if os.geteuid() != 0 or subprocess.run(["unshare", "--net", "true"], capture_output=True).returncode != 0:
        return False
    os.environ["BENCH_NAMESPACE"] = "1"
    os.execvp("unshare", ["unshare", "--net", sys.executable, os.path.abspath(sys.argv[0]), *sys.argv[1:]])
