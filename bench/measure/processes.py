"""Processes that the measurements start, and what the kernel says of them."""
import os
import platform
import re
import socket
import subprocess
import sys
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PEER = os.environ.get("BENCH_PEER", f"{ROOT}/target/release/examples/bench-peer")
OURS = f"{ROOT}/target/release/blackbox_exporter"
# What packaging/optimise builds: documents quote figures of what is released.
RELEASED = f"{ROOT}/target/{platform.machine()}-unknown-linux-gnu/dist/blackbox_exporter"
HZ = os.sysconf("SC_CLK_TCK")


def shell(command):
    subprocess.run(command, shell=True, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def get(port, path, timeout=20):
    return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=timeout).read().decode()


def peer(*words, **options):
    """What a command of bench-peer printed; its failure ends the run."""
    done = subprocess.run([PEER, *map(str, words)], capture_output=True, text=True, **options)
    if done.returncode:
        sys.exit(f"bench-peer {' '.join(map(str, words))}: {done.stderr}")
    return done.stdout


class Process:
    """Runs until `stop`, or the end of a `with`."""

    def __init__(self, argv, log, **options):
        output = options.pop("stdout", subprocess.DEVNULL)
        with open(log, "a") as errors:
            self.child = subprocess.Popen(argv, stdout=output, stderr=errors, start_new_session=True, **options)
        self.pid = self.child.pid

    def cpu(self):
        """Seconds in user and in system mode."""
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return int(fields[11]) / HZ, int(fields[12]) / HZ

    def status(self, key):
        return int(re.search(rf"{key}:\s+(\d+)", open(f"/proc/{self.pid}/status").read()).group(1))

    def rss(self):
        """Resident MiB."""
        return self.status("VmRSS") / 1024

    def peak(self):
        """The most resident MiB so far."""
        return self.status("VmHWM") / 1024

    def threads(self):
        return self.status("Threads")

    def files(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.child.terminate()
        try:
            self.child.wait(5)
        except subprocess.TimeoutExpired:
            self.child.kill()
            self.child.wait()


class Exporter(Process):
    """An exporter under test; `ready` are the seconds from exec to its first response."""

    def __init__(self, name, binary, config, port, tmp, more=(), before=(), **options):
        self.name, self.port = name, port
        begin, log = time.monotonic(), f"{tmp}/{name}.log"
        argv = [*before, binary, f"--config.file={config}", f"--web.listen-address=127.0.0.1:{port}", *more]
        super().__init__(argv, log, **options)
        while not self.answers():
            if self.child.poll() is not None or time.monotonic() - begin > 60:
                sys.exit(f"{name} did not start:\n{open(log).read()[-800:]}")
            time.sleep(0.0005)
        self.ready = time.monotonic() - begin

    def answers(self):
        try:
            with socket.create_connection(("127.0.0.1", self.port), 5) as stream:
                stream.sendall(b"GET /-/healthy HTTP/1.0\r\n\r\n")
                return stream.recv(12).endswith(b"200")
        except OSError:
            return False
