"use strict";
// The pages work without this; it keeps the list of probes fresh and lets a click copy the command.
const recent = document.querySelector("[data-refresh]");
if (recent) {
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(recent.dataset.refresh, { headers: { Accept: "text/html", "X-Fragment": "recent" } });
      if (answer.ok) recent.innerHTML = await answer.text();
    } catch { /* The exporter is away; the next turn asks again. */ }
  }, 3000);
}
for (const block of document.querySelectorAll("[data-copy]")) {
  if (!navigator.clipboard) break;
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = "Copy";
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(block.textContent);
    button.textContent = "Copied";
  });
  block.after(button);
}
