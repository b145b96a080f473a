"""A preprocessor of mdBook: links to files outside of docs/ become links to the forge.

usage: links.py <BOOK    the book's JSON, as mdBook passes it; `mdbook build docs` runs this
       links.py supports RENDERER
"""
import json
import re
import sys

FORGE = "https://github.com/deepflowio/blackbox-exporter/blob/main/"


def chapters(items):
    for item in items:
        if "Chapter" in item:
            chapter = item["Chapter"]
            chapter["content"] = re.sub(r"\]\(\.\./", f"]({FORGE}", chapter["content"])
            chapters(chapter["sub_items"])


if sys.argv[1:2] == ["supports"]:
    sys.exit(0)
try:
    _, book = [] if sys.stdin.isatty() else json.load(sys.stdin)
except ValueError:
    sys.exit(__doc__)
chapters(book.get("items", book.get("sections", [])))
json.dump(book, sys.stdout)
