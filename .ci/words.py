#!/usr/bin/env python3
"""Looks for the habits of writing that make texts hard to read, in documents, examples, and the texts and comments of the source.

usage: .ci/words.py [FILE...]    prints FILE:LINE, the words and what to write instead; ends with 1 when there are any
"""
import re
import subprocess
import sys

DOCUMENTS = r"(^|/)[^/]*\.md$|^templates/|^examples/"
EVERYWHERE = r"\.(md|rs|yml|yaml|alloy|toml|py|html|service|socket|conf|tpl)$|^(justfile|Dockerfile|\.ci/run|packaging/.*|bench/.*)$"
SKIPPED = r"^\.ci/words\.py$|^Cargo\.|^deny\.toml$"

UNITS = r"(?:bytes|KiB|MiB|GiB|KB|MB|ms|us|µs|seconds|lines?|series|samples|times|packets|probes|requests|connections|instructions|questions|once|twice|CPU)"
THINGS = r"(?:second|minute|hour|probe|request|connection|hop|line|packet|scrape|body|handshake|answer|response|target|module|name|row|token|cookie|header|field)"
RULES = [
    # what, instead, where
    (r"\b[Tt]ime-outs?\b", "timeout", EVERYWHERE),
    (r"\bat one time\b", "at the same time, concurrent", EVERYWHERE),
    (r"\b[Tt]he Go (?:program|exporter)\b", "upstream", EVERYWHERE),
    (r"\bfor ever\b", "forever, without a limit", EVERYWHERE),
    (r"\banew\b", "again", EVERYWHERE),
    (r"\bmended\b|\bput right\b", "fixed", EVERYWHERE),
    (r"\bno patience\b|\bhas an ear\b|\bstrangers?\b", "name the person, say what the program does", DOCUMENTS),
    (r"\bcannot be told from\b", "looks like, cannot be distinguished from", EVERYWHERE),
    (r"\bin vain\b|\bcomes? about\b|\bof its own accord\b", "say what happens", EVERYWHERE),
    (r"\bshall\b", "must, will", EVERYWHERE),
    (r"\b" + UNITS + r" an? " + THINGS + r"\b", "per", EVERYWHERE),
    (r"\bbesides\b", "too, other, in addition", DOCUMENTS),
    (r"\bbut for\b", "except for", DOCUMENTS),
    (r"\bwithout measure\b|\bwithout end\b", "endless", DOCUMENTS),
    (r"\b(?:is|are) none(?=[,.;:)|]|$)", "finish the sentence", DOCUMENTS),
    (r"\b[Mm]ost (?:memory|bytes|probes|connections|lines) (?:that|at|of)\b", "maximum", DOCUMENTS),
    (r"\bstands? (?:in|at|beside|below|among|there|here|behind|within)\b", "is in", DOCUMENTS),
    (r"\b[Ww]hoever\b|\b[Ss]omebody else\b", "name the person", DOCUMENTS),
    (r"\b[Aa]nswers?\b(?!['`_]| (?:section|and authority section|resource record list))", "response (an answer is a section of a DNS response)", DOCUMENTS),
    (r"\bthe head of\b|\brequest heads?\b", "headers", DOCUMENTS),
    (r"\b(?:is|are|was|were) judged\b", "is checked, verified, decided", DOCUMENTS),
]
# The longest sentence of a document, in words; cells of tables count one by one.
LONGEST = 42


def files(given):
    names = given or subprocess.run(["git", "ls-files"], check=True, capture_output=True, text=True).stdout.split("\n")
    return [name for name in names if name and re.search(EVERYWHERE, name) and not re.search(SKIPPED, name)]


def prose(text):
    """The lines of a document without its code."""
    fenced = False
    for number, line in enumerate(text.split("\n"), 1):
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            yield number, re.sub(r"`[^`]*`", "`code`", re.sub(r"\[[^\]]*\]\(\.\./[^)]*\)|\]\([^)]*\)", "]", line))


def long_sentences(text):
    """Line and length of sentences that nobody reads to their end."""
    start, words = 1, []
    for number, line in prose(text):
        cells = line.split("|") if line.startswith("|") else [line]
        for cell in cells:
            if not line.strip() or line.startswith(("|", "#", "- ", "* ")) or re.match(r"\d+\. ", line):
                start, words = number, []
            for word in re.sub(r"\]\([^)]*\)", "]", cell).split():
                words.append(word)
                if len(words) > LONGEST:
                    yield start, len(words)
                    words = []
                if re.search(r"[.:;!?][)*\"]*$", word):
                    start, words = number, []


def main():
    found = 0
    for name in files(sys.argv[1:]):
        with open(name, encoding="utf-8", errors="replace") as file:
            text = file.read()
        lines = list(prose(text)) if name.endswith(".md") else list(enumerate(text.split("\n"), 1))
        complaints = []
        for number, line in lines:
            for pattern, instead, where in RULES:
                if re.search(where, name):
                    complaints += [(number, match[0], instead) for match in re.finditer(pattern, line)]
        if name.endswith(".md"):
            complaints += [(number, f"a sentence of more than {LONGEST} words", "two sentences") for number, _ in long_sentences(text)]
        for number, words, instead in complaints:
            print(f"{name}:{number}: {words}: {instead}")
        found += len(complaints)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
