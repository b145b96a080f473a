"""The recorded answers: one text file per group of cases, in which what repeats stands once.

In `expected/GROUP.txt` a line `@ NAME` begins a case. The HELP and TYPE lines before the samples of a family are left out where they
are those of `expected/families.txt`; `@! NAME` begins a case that has all of them. `@+` ends a text without a newline at its end.

usage: recorded.py show NAME | recorded.py pack FOLDER    (adds the answers of FOLDER/NAME.txt)
"""
import os
import re
import shutil
import sys

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "expected")
SAMPLE = re.compile(r"(\w+)(?=[ {])")
HEAD = re.compile(r"^# HELP (\S+) .*\n# TYPE \1 \S+\n", re.M)


def read(path):
    with open(path, newline="") as file:
        return file.read()


class Recorded:
    def __init__(self, folder=HERE):
        self.folder, self.texts = folder, {}
        families = os.path.join(folder, "families.txt")
        heads = HEAD.finditer(read(families)) if os.path.exists(families) else []
        self.families = {head[1]: head[0] for head in heads}
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            if name.endswith(".txt") and name != "families.txt":
                self._load(read(os.path.join(folder, name)))
        # Answers that are not packed yet: a file per case.
        for below, _, names in os.walk(folder):
            for name in names if below != folder else []:
                path = os.path.join(below, name)
                self.texts[os.path.relpath(path, folder)[: -len(".txt")]] = read(path)

    def _load(self, text):
        for mark, name, body in re.findall(r"^@(!?) (\S+)\n((?:(?!@!? ).*\n)*)", text, flags=re.M):
            body = body[: -len("\n@+\n")] if body.endswith("\n@+\n") else body
            body = re.sub(r"^\\(?=[@\\])", "", body, flags=re.M)
            self.texts[name] = body if mark else self._with_heads(body)

    def _with_heads(self, body):
        lines, last = [], None
        for line in body.splitlines(keepends=True):
            family = SAMPLE.match(line)
            family = family[1] if family and family[1] in self.families else None
            if family and family != last:
                lines.append(self.families[family])
            last = family
            lines.append(line)
        return "".join(lines)

    def get(self, name):
        return self.texts.get(name)

    def save(self):
        """Writes everything, with the most common HELP and TYPE lines of each family in the table."""
        counts = {}
        for text in self.texts.values():
            for head in HEAD.finditer(text):
                family = counts.setdefault(head[1], {})
                family[head[0]] = family.get(head[0], 0) + 1
        self.families = {name: max(heads, key=heads.get) for name, heads in sorted(counts.items())}
        groups = {}
        for name, text in sorted(self.texts.items()):
            short = HEAD.sub(lambda head: "" if self.families[head[1]] == head[0] else head[0], text)
            mark = "" if self._with_heads(short) == text else "!"
            # A line that looks like one of ours gets a backslash.
            short = re.sub(r"^(?=@|\\[@\\])", r"\\", text if mark else short, flags=re.M)
            group = groups.setdefault(name.split("/")[0], [])
            group.append(f"@{mark} {name}\n{short}" + ("" if short.endswith("\n") else "\n@+\n"))
        shutil.rmtree(self.folder)
        os.makedirs(self.folder)
        self._write("families", "".join(self.families.values()))
        for group, parts in groups.items():
            self._write(group, "".join(parts))

    def _write(self, name, text):
        with open(os.path.join(self.folder, name + ".txt"), "w", newline="") as file:
            file.write(text)


if __name__ == "__main__":
    recorded = Recorded()
    if sys.argv[1:2] == ["show"]:
        sys.stdout.write(recorded.texts[sys.argv[2]])
    elif sys.argv[1:2] == ["pack"]:
        for folder, _, names in os.walk(sys.argv[2]):
            for name in names:
                path = os.path.join(folder, name)
                recorded.texts[os.path.relpath(path, sys.argv[2])[: -len(".txt")]] = read(path)
        recorded.save()
        again = Recorded()
        wrong = [name for name, text in recorded.texts.items() if again.get(name) != text]
        sys.exit(f"not the same after packing: {wrong}" if wrong else 0)
    else:
        sys.exit(__doc__)
