#!/usr/bin/env python3
"""A path that loses, delays, duplicates and reorders packets, as netem does, on kernels that have no netem: two TUN devices with
a namespace behind the second one, where the kernel answers 10.77.0.2. What happened to each packet is known, so that the
figures of a prober can be compared with it.

usage: shaper.py LOSS DELAY_MS JITTER_MS DUPLICATES REORDERED
Shapes the packets to 10.77.0.2; those that come back pass. Prints `ready`, then, when its input ends, a line of JSON:
`icmp`, by identifier: requests `sent`, `answered` (times in seconds) and further replies (`duplicates`);
`connects`: seconds from the first SYN of each connection to its answer.
"""
import fcntl, heapq, json, os, random, select, struct, subprocess, sys, time

LOSS, DELAY, JITTER, DUPLICATES, REORDERED = (float(text) for text in sys.argv[1:])
FAR = """import socket, sys
sys.stdin.readline()
listener = socket.create_server(("", 7), backlog=1024)
print("ready", flush=True)
while True: listener.accept()[0].close()"""

def tun(name):
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, 0x400454CA, struct.pack("16sH22x", name.encode(), 0x1001))
    return device

def furnish(far):
    """Puts the second device into the other namespace, and gives both their addresses."""
    inside = ["nsenter", "-t", str(far.pid), "-n"]
    for command in [
        ["ip", "link", "set", "far", "netns", str(far.pid)],
        ["ip", "addr", "add", "10.77.0.1/24", "dev", "near"],
        ["ip", "link", "set", "near", "up"],
        inside + ["ip", "addr", "add", "10.77.0.2/24", "dev", "far"],
        inside + ["ip", "link", "set", "lo", "up"],
        inside + ["ip", "link", "set", "far", "up"],
    ]: subprocess.run(command, check=True)
    far.stdin.write("go\n"); far.stdin.flush(); far.stdout.readline()

class Truth:
    def __init__(self): self.icmp, self.asked, self.syn, self.connects = {}, {}, {}, []
    def goes(self, packet, now):
        body = packet[(packet[0] & 15) * 4:]
        if packet[9] == 1 and body[0] == 8:
            name, turn = struct.unpack("!HH", body[4:8])
            flow = self.icmp.setdefault(name, {"sent": 0, "answered": [], "duplicates": 0})
            flow["sent"] += 1
            self.asked[name, turn] = now
        elif packet[9] == 6 and body[13] & 0x12 == 2: self.syn.setdefault(body[:2], now)
    def comes(self, packet, now):
        body = packet[(packet[0] & 15) * 4:]
        if packet[9] == 1 and body[0] == 0:
            key = struct.unpack("!HH", body[4:8])
            asked = self.asked.pop(key, None)
            if asked is None: self.icmp[key[0]]["duplicates"] += 1
            else: self.icmp[key[0]]["answered"].append(now - asked)
        elif packet[9] == 6 and body[13] & 0x12 == 0x12:
            began = self.syn.get(body[2:4])
            if began: self.connects.append(now - began); self.syn[body[2:4]] = 0

def main():
    lot, truth, held, number = random.Random(7), Truth(), [], 0
    near, far = tun("near"), tun("far")
    behind = subprocess.Popen(["unshare", "--net", sys.executable, "-c", FAR], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    # Until it is in its namespace, the device would go nowhere.
    own = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{behind.pid}/ns/net") == own: time.sleep(0.01)
    furnish(behind)
    # The path must not wait for a busy processor.
    try: os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    except OSError: pass
    print("ready", flush=True)
    while True:
        now = time.monotonic()
        while held and held[0][0] <= now: os.write(far, heapq.heappop(held)[2])
        wait = held[0][0] - time.monotonic() if held else None
        ready, _, _ = select.select([near, far, sys.stdin], [], [], None if wait is None else max(wait, 0))
        now = time.monotonic()
        if near in ready:
            packet = os.read(near, 65536)
            if packet[0] >> 4 == 4:
                truth.goes(packet, now)
                if lot.random() >= LOSS:
                    for _ in range(2 if lot.random() < DUPLICATES else 1):
                        hold = 0 if lot.random() < REORDERED else lot.uniform(DELAY - JITTER, DELAY + JITTER) / 1000
                        number += 1
                        heapq.heappush(held, (now + hold, number, packet))
        if far in ready:
            packet = os.read(far, 65536)
            if packet[0] >> 4 == 4:
                os.write(near, packet)
                truth.comes(packet, time.monotonic())
        if sys.stdin in ready: break
    behind.kill()
    print(json.dumps({"icmp": truth.icmp, "connects": truth.connects}), flush=True)

main()
