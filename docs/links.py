"""A preprocessor of mdBook: links to files outside of docs/ become links to the forge."""
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


if len(sys.argv) > 1:  # `links.py supports RENDERER`
    sys.exit(0)
_, book = json.load(sys.stdin)
chapters(book.get("items", book.get("sections", [])))
json.dump(book, sys.stdout)
