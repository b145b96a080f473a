"use strict";
// The playground works without this. It checks the text while somebody writes, and marks the places of problems.

const editor = document.getElementById("editor");
const [text, mirror, verdict, list] = ["text", "mirror", "verdict", "list"].map((id) => document.getElementById(id));
const form = text.form;
let places = [...list.querySelectorAll("a[data-line]")].map((link) => ({
  line: Number(link.dataset.line), column: Number(link.dataset.column), kind: link.nextElementSibling.textContent }));

// The text once more behind the editor, with what is wrong in it marked.
const reflect = () => {
  const lines = text.value.split("\n").map((line, index) => {
    const here = places.filter((place) => place.line === index + 1).sort((a, b) => a.column - b.column)[0];
    const nodes = [];
    if (here) {
      const letters = [...line];
      let end = here.column;
      while (end < letters.length && !/[\s:,\]}]/.test(letters[end])) end += 1;
      const mark = document.createElement("mark");
      mark.className = here.kind === "error" ? "bad" : "warn";
      mark.textContent = letters.slice(here.column - 1, end).join("") || " ";
      nodes.push(letters.slice(0, here.column - 1).join(""), mark, letters.slice(end).join(""));
    } else {
      nodes.push(line);
    }
    nodes.push("\n");
    return nodes;
  });
  mirror.replaceChildren(...lines.flat());
};

const goTo = (line, column) => {
  const before = text.value.split("\n").slice(0, line - 1);
  const at = before.reduce((sum, each) => sum + each.length + 1, 0) + column - 1;
  text.focus();
  text.setSelectionRange(at, at);
};

const show = ({ verdict: words, problems }) => {
  const wrong = problems.some((problem) => problem.kind === "error");
  verdict.textContent = words;
  verdict.className = wrong ? "bad" : "quiet";
  text.setAttribute("aria-invalid", String(wrong));
  list.replaceChildren(...problems.map(({ kind, line, column, message, help }) => {
    const item = document.createElement("li");
    if (line) {
      const link = document.createElement("a");
      link.href = "#text";
      link.textContent = `Line ${line}, column ${column}`;
      Object.assign(link.dataset, { line, column });
      item.append(link, " ");
    }
    const word = document.createElement("span");
    word.className = kind === "error" ? "bad" : "warn";
    word.textContent = kind;
    item.append(word, `: ${message}`);
    if (help) {
      const more = document.createElement("span");
      more.className = "quiet";
      more.textContent = help;
      item.append(" ", more);
    }
    return item;
  }));
  places = problems.filter((problem) => problem.line);
  reflect();
};

let running = null;
const check = async () => {
  if (running) running.abort();
  running = new AbortController();
  try {
    const response = await fetch("playground", {
      method: "POST", headers: { Accept: "application/json" }, body: new URLSearchParams({ text: text.value }), signal: running.signal });
    if (response.ok) show(await response.json());
    else verdict.textContent = (await response.text()).trim();
  } catch (error) {
    if (error.name !== "AbortError") verdict.textContent = "The exporter cannot be reached";
  }
};

let timer = null;
text.addEventListener("input", () => {
  // What was wrong moves with every letter: it is marked again when it was checked.
  places = [];
  reflect();
  clearTimeout(timer);
  timer = setTimeout(check, 300);
});
list.addEventListener("click", (event) => {
  const link = event.target.closest("a[data-line]");
  if (!link) return;
  event.preventDefault();
  goTo(Number(link.dataset.line), Number(link.dataset.column));
});
form.addEventListener("submit", () => { clearTimeout(timer); if (running) running.abort(); });
editor.classList.add("live");
document.getElementById("check").hidden = true;
reflect();
const result = document.getElementById("result");
if (result) result.focus({ preventScroll: true });
