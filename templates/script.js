"use strict";
// The pages work without this. It keeps the wall up to date, rows that changed alone, and lets a click copy a command.
// In a block: a page that the form puts in the place of another brings this script along once more.
{
  const ago = (milliseconds) => {
    const seconds = Math.max(0, Math.floor(milliseconds / 1000));
    if (seconds < 60) return `${seconds} s`;
    if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
    if (seconds < 172800) return `${Math.floor(seconds / 3600)} h`;
    return `${Math.floor(seconds / 86400)} d`;
  };

  // Whether somebody is marking text there: it must not move under their hands.
  const isMarked = (node) => {
    const selection = document.getSelection();
    return selection && !selection.isCollapsed && selection.containsNode(node, true);
  };

  // Makes one element like another, and touches nothing that is the same already: focus and marked text stay.
  const liken = (old, fresh) => {
    if (old.isEqualNode(fresh)) return;
    if (old.nodeType !== fresh.nodeType || old.nodeName !== fresh.nodeName) { old.replaceWith(fresh); return; }
    if (old.nodeType === Node.TEXT_NODE) { if (!isMarked(old)) old.data = fresh.data; return; }
    for (const { name } of [...old.attributes]) if (!fresh.hasAttribute(name) && name !== "open") old.removeAttribute(name);
    for (const { name, value } of fresh.attributes) if (old.getAttribute(name) !== value) old.setAttribute(name, value);
    const [before, after] = [[...old.childNodes], [...fresh.childNodes]];
    after.forEach((child, index) => { if (before[index]) liken(before[index], child); else old.append(child); });
    before.slice(after.length).forEach((child) => child.remove());
  };

  const parse = (html, around) => {
    const template = document.createElement("template");
    template.innerHTML = around ? `<table><tbody>${html}</tbody></table>` : html;
    return around ? template.content.querySelector("tr") : template.content;
  };

  const wall = document.querySelector("#wall[data-events]");
  if (wall && window.EventSource) {
    const [rows, tabs, pause] = ["rows", "tabs", "pause"].map((id) => document.getElementById(id));
    const lost = document.getElementById("lost");
    let version = wall.dataset.version;
    let source = null;
    // When the exporter was last heard, which is every 16 seconds at least, and since when the connection is broken. It ends connections
    // every five minutes: browsers connect again within seconds.
    let [heard, tried, broken] = [Date.now(), 0, 0];
    // Of the exporter's clock, which is not ours.
    let clock = 0;

    const show = ({ order, rows: changed, tabs: counts, now }) => {
      clock = now - Date.now();
      const focused = document.activeElement;
      for (const [id, html] of Object.entries(changed)) {
        const fresh = parse(html, true);
        const old = document.getElementById(`r${id}`);
        if (old) liken(old, fresh); else rows.append(fresh);
      }
      const current = document.createElement("nav");
      current.append(parse(counts, false));
      [...current.children].forEach((tab, index) => { if (tabs.children[index]) liken(tabs.children[index], tab); });
      const failing = Number(tabs.querySelector(".bad").textContent);
      document.title = failing > 0 ? `${failing} failing - Blackbox Exporter` : "Blackbox Exporter";
      if (isMarked(rows)) return;
      const wanted = new Set(order.map((id) => `r${id}`));
      for (const row of [...rows.children]) if (!wanted.has(row.id)) row.remove();
      order.forEach((id, index) => {
        const row = document.getElementById(`r${id}`);
        if (row && rows.children[index] !== row) rows.insertBefore(row, rows.children[index] || null);
      });
      if (focused && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
      // The first target of all.
      wall.hidden = false;
      const invite = document.getElementById("invite");
      if (invite) invite.remove();
      const nothing = document.getElementById("nothing");
      if (nothing) nothing.hidden = rows.children.length > 0;
    };
    const hear = () => { [heard, broken] = [Date.now(), 0]; lost.hidden = true; };
    const close = () => { if (source) source.close(); source = null; };
    const connect = () => {
      close();
      const url = wall.dataset.events;
      source = new EventSource(`${url}${url.endsWith("?") ? "" : "&"}since=${version}`);
      for (const sign of ["open", "message", "quiet"]) source.addEventListener(sign, hear);
      source.addEventListener("error", () => { broken = broken || Date.now(); });
      source.addEventListener("message", (event) => { version = event.lastEventId || version; show(JSON.parse(event.data)); });
    };
    const open = () => {
      close();
      [tried, broken] = [Date.now(), 0];
      if (!document.hidden && pause.getAttribute("aria-pressed") !== "true") connect();
    };
    const watch = () => {
      const now = Date.now();
      if (!source || (now - Math.max(heard, tried) < 40000 && (!broken || now - broken < 10000))) return;
      const text = `Not connected since ${new Date(heard).toLocaleTimeString()}`;
      if (lost.textContent !== text) lost.textContent = text;
      lost.hidden = false;
      // After an error page, as of a proxy without the exporter, browsers do not try again.
      if (source.readyState !== EventSource.CONNECTING) connect();
    };
    pause.hidden = false;
    pause.addEventListener("click", () => {
      const paused = pause.getAttribute("aria-pressed") !== "true";
      pause.setAttribute("aria-pressed", String(paused));
      pause.textContent = paused ? "Resume" : "Pause";
      open();
    });
    document.addEventListener("visibilitychange", open);
    window.addEventListener("pagehide", close);
    setInterval(() => {
      watch();
      if (pause.getAttribute("aria-pressed") === "true") return;
      for (const time of rows.querySelectorAll("time[data-at]")) {
        const text = ago(Date.now() + clock - Number(time.dataset.at));
        if (time.textContent !== text && !isMarked(time)) time.textContent = text;
      }
    }, 5000);
    open();
  }

  // The parameters of the module that the form names.
  const form = document.querySelector("form.probe");
  if (form) {
    const choose = () => {
      for (const fields of form.querySelectorAll("fieldset.params")) {
        fields.hidden = fields.disabled = fields.dataset.module !== form.elements.module.value;
      }
    };
    form.elements.module.addEventListener("input", choose);
    choose();
    // The text is the target as it is; /probe decodes it once more than the query.
    form.addEventListener("formdata", ({ formData }) => formData.set("target", formData.get("target").replaceAll("%", "%25")));
    // What is secret must stand neither in the address nor in the history of the browser.
    form.addEventListener("submit", async (event) => {
      if (!form.querySelector("fieldset.params:enabled input[type=password]")) return;
      event.preventDefault();
      const query = new URLSearchParams(new FormData(form));
      const wrong = form.querySelector(".wrong");
      wrong.textContent = "";
      try {
        const answer = await fetch(`${form.getAttribute("action")}?${query}`, { headers: { Accept: "text/html" } });
        const page = await answer.text();
        if (!(answer.headers.get("Content-Type") || "").startsWith("text/html")) throw page;
        // Nothing is left of this page but its events.
        window.dispatchEvent(new Event("pagehide"));
        document.open();
        document.write(page);
        document.close();
      } catch (error) { wrong.textContent = String(error); }
    });
  }

  const copy = async (block) => {
    // The clipboard is there over https and on localhost only.
    if (navigator.clipboard) return navigator.clipboard.writeText(block.textContent);
    const range = document.createRange();
    range.selectNodeContents(block);
    const selection = document.getSelection();
    selection.removeAllRanges();
    selection.addRange(range);
    if (!document.execCommand("copy")) throw new Error("not copied");
  };
  for (const block of document.querySelectorAll("[data-copy]")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try { await copy(block); button.textContent = "Copied"; }
      // The text is marked: the keyboard can copy it.
      catch { button.textContent = "Press Ctrl+C"; }
    });
    block.after(button);
  }
}
