#!/usr/bin/env python3
"""Runs the conformance suite beside this repository, and our own cases with the same harness.

usage: run.py PATH_OF_EXPORTER [more options for the suite's run.py, such as --only REGEX]

A deliberate difference has its whole expected answer under tests/deviations; where that holds the time of day, a file
`<case>.regex` there matches the lines that differ. Cases that do not pass yet stand in
pending.txt, one name a line: a case that fails without standing there is a fault, and so is one that stands there and
passes, so that the list only shrinks. It is gone when it is empty.
"""
import os
import re
import subprocess
import sys

here = os.path.dirname(os.path.abspath(__file__))
suite = os.path.join(here, "..", "..", "..", "shared", "conformance", "run.py")
exporter, options = sys.argv[1], sys.argv[2:]
command = f"{exporter} --config.file={{config}} --web.listen-address=127.0.0.1:{{port}}"


def run(*more):
    """The output of the suite and the names of the cases that failed."""
    done = subprocess.run(
        [sys.executable, suite, "--exporter", command, *more, *options], capture_output=True, text=True
    )
    failed = re.findall(r"^(?:DIFFERS|ERROR|NOT RECORDED) (\S+)", done.stdout, re.M)
    closing = re.search(r"^conformance: (\d+) passed, (\d+) failed, (\d+) not recorded.*", done.stdout, re.M)
    if not closing or int(closing[2]) + int(closing[3]) != len(failed):
        sys.exit(done.stdout + done.stderr + "\nthe suite did not run to its end")
    # Threads of scripted peers end by exceptions when the exporter hangs up; that is what standard error holds.
    return done.stdout, set(failed), int(closing[1])


def pending():
    path = os.path.join(here, "pending.txt")
    if not os.path.exists(path):
        return set()
    lines = (line.split("#")[0].strip() for line in open(path))
    return set(filter(None, lines))


passed_in_all, faults = 0, []
output, failed, passed = run("--deviations", os.path.join(here, "..", "deviations"))
passed_in_all += passed
known = pending()
# What each failed case printed; the closing line is not part of the last one's.
blocks = re.split(r"^(?=DIFFERS |ERROR |NOT RECORDED |conformance: )", output, flags=re.M)
blocks = {re.match(r"(?:DIFFERS|ERROR|NOT RECORDED) (\S+)", block)[1]: block for block in blocks[1:-1]}


def is_deliberate(name):
    """Whether the lines that differ are those that the regular expression of a deliberate difference describes."""
    path = os.path.join(here, "..", "deviations", name + ".regex")
    if not os.path.exists(path):
        return False
    lines = "\n".join(re.findall(r"^\+(.*)$", blocks[name], re.M))
    return re.fullmatch(open(path).read().strip(), lines) is not None


matched = {name for name in failed if is_deliberate(name)}
failed -= matched
passed_in_all += len(matched)
new = failed - known
if new:
    # Show what differs, and only for the cases that are not known to.
    print("".join(blocks[name] for name in sorted(new)))
    faults += [f"{name} fails and is not in pending.txt" for name in sorted(new)]
if not options:
    faults += [f"{name} passes now: take it out of pending.txt" for name in sorted(known - failed)]
    if os.path.exists(os.path.join(here, "pending.txt")) and not known:
        faults.append("pending.txt is empty: remove it")

if any(name.endswith(".py") for name in os.listdir(os.path.join(here, "cases"))):
    output, failed, passed = run(
        "--cases", os.path.join(here, "cases"), "--expected", os.path.join(here, "expected"), "--deviations", os.path.join(here, "..", "deviations")
    )
    passed_in_all += passed
    if failed:
        print(output)
        faults += [f"{name} of our own cases fails" for name in sorted(failed)]

print("\n".join(faults))
pending_still = known & failed
if pending_still:
    print(f"{len(pending_still)} cases are pending")
print(f"conformance: {passed_in_all} passed, {len(faults)} failed")
sys.exit(1 if faults else 0)
