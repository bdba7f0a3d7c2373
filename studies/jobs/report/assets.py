"""What a page looks like, and what it does: no line of it comes from elsewhere."""

STYLE = """
:root { color-scheme: light; --line: #d8dde3; --soft: #f4f6f8; --text: #1c2733; --faint: #5a6773; }
* { box-sizing: border-box; }
body { margin: 0; font: 15px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; color: var(--text);
  background: #fff; overflow-wrap: anywhere; }
main, header { max-width: 1160px; margin: 0 auto; padding: 0 16px; }
h1 { font-size: 1.6rem; margin: 24px 0 4px; } h2 { font-size: 1.2rem; margin: 32px 0 8px; }
h3 { font-size: 1rem; margin: 16px 0 4px; } p { margin: 4px 0 10px; } .note { color: var(--faint); font-size: 0.88rem; }
nav a { margin-right: 14px; } a { color: #1a5fb4; }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
th, td { padding: 6px 10px; text-align: left; white-space: nowrap; border-bottom: 1px solid var(--line); }
tr:last-child td { border-bottom: 0; } tbody tr:hover { background: var(--soft); }
th { background: var(--soft); font-weight: 600; } .number { text-align: right; }
th button { all: unset; cursor: pointer; font-weight: 600; } th button:focus-visible { outline: 2px solid #1a5fb4; }
th button::after { content: " \\2195"; color: #a3adb8; }
th[aria-sort=ascending] button::after { content: " \\2191"; color: inherit; }
th[aria-sort=descending] button::after { content: " \\2193"; color: inherit; }
.better { color: #1b7837; font-weight: 600; } .worse { color: #b2182b; font-weight: 600; }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 340px), 1fr)); gap: 16px; }
figure { margin: 0; min-width: 0; } figcaption { font-size: 0.88rem; color: var(--faint); }
.plot { width: 100%; max-width: 560px; height: auto; display: block; }
.plot text { font-size: 11px; fill: var(--faint); } .plot .grid { stroke: #e6eaee; } .plot .axis { stroke: #8a949e; }
.plot .rule { stroke: #a3adb8; stroke-dasharray: 3 3; } .plot .zero { stroke: #1c2733; }
.plot .line { fill: none; stroke-width: 1.6; } .plot .margin { stroke-width: 2; }
.plot .tip { cursor: pointer; outline: none; } .plot .tip:focus-visible { outline: 2px solid #1a5fb4; }
.key span { display: inline-block; margin-right: 14px; } .key b { display: inline-block; width: 10px; height: 10px;
  border-radius: 5px; margin-right: 5px; } .key b.open { border: 2px solid #5a6773; border-radius: 0; }
.key b.small { width: 5px; height: 5px; background: #5a6773; vertical-align: 2px; }
.strip { display: inline-flex; flex-wrap: wrap; gap: 1px; vertical-align: middle; }
td .strip { flex-wrap: nowrap; }
.strip i { flex: none; width: 15px; height: 17px; font: 11px/17px system-ui, sans-serif; text-align: center;
  color: #1c2733; }
.strip .dark { color: #fff; } .strip .skip { background: #eceff2; }
.wide > img { display: block; width: 100%; min-width: 560px; max-width: 900px; }
.pairs { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 20px; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; align-items: start; }
.pair h3 { grid-column: 1 / -1; margin-bottom: 0; }
.pair img { width: 100%; display: block; border: 1px solid var(--line); image-rendering: pixelated; }
.pair .none { border: 1px dashed var(--line); padding: 10px; color: var(--faint); font-size: 0.88rem; }
details { border: 1px solid var(--line); border-radius: 6px; padding: 8px 12px; margin: 8px 0; }
summary { cursor: pointer; } pre { white-space: pre-wrap; background: var(--soft); padding: 10px; border-radius: 4px;
  font-size: 0.85rem; }
#tip { position: fixed; z-index: 9; max-width: min(340px, calc(100vw - 16px)); padding: 8px 10px; background: #fff;
  border: 1px solid #8a949e; border-radius: 6px; box-shadow: 0 3px 12px #0003; font-size: 0.85rem;
  pointer-events: none; }
#tip[hidden] { display: none; } #tip b, #tip span.text { display: block; } #tip .strip { margin-top: 5px; }
@media (max-width: 600px) { body { font-size: 16px; } th, td { padding: 8px; } h1 { font-size: 1.35rem; } }
@media print { nav { display: none; } .wide { overflow: visible; } }
"""

SCRIPT = """
"use strict";
function sortBy(header) {
  const table = header.closest("table"), body = table.tBodies[0];
  const at = Array.from(header.parentNode.children).indexOf(header);
  const turn = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
  for (const other of header.parentNode.children) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", turn === 1 ? "ascending" : "descending");
  const numbers = header.classList.contains("number");
  const rows = Array.from(body.rows).map((row, place) => ({ row, place, key: row.cells[at].dataset.sort }));
  rows.sort((a, b) => {
    if ((a.key === "") !== (b.key === "")) return a.key === "" ? 1 : -1;
    const order = numbers ? Number(a.key) - Number(b.key) : a.key.localeCompare(b.key);
    return turn * order || a.place - b.place;
  });
  for (const one of rows) body.appendChild(one.row);
}
const tip = document.getElementById("tip");
function add(parent, tag, name, text) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.textContent = text;
  parent.appendChild(made);
  return made;
}
function show(mark) {
  const told = JSON.parse(mark.dataset.tip);
  tip.textContent = "";
  add(tip, "b", "", told.title);
  for (const line of told.lines) add(tip, "span", "text", line);
  if (told.schedule.length) {
    const strip = add(tip, "span", "strip", ""), most = Math.max(1, ...told.schedule);
    for (const member of told.schedule) {
      const cell = add(strip, "i", member ? (member / most > 0.5 ? "dark" : "") : "skip", member || "");
      if (member) cell.style.background = "hsl(212 62% " + (88 - 58 * member / most) + "%)";
    }
  }
  tip.hidden = false;
  const place = mark.getBoundingClientRect(), own = tip.getBoundingClientRect();
  const left = place.left + place.width / 2 - own.width / 2;
  const above = place.top - own.height - 6;
  tip.style.left = Math.max(8, Math.min(left, document.documentElement.clientWidth - own.width - 8)) + "px";
  tip.style.top = (above > 4 ? above : place.bottom + 6) + "px";
}
function hide() { tip.hidden = true; }
for (const header of document.querySelectorAll("table.sortable th")) {
  header.querySelector("button").addEventListener("click", () => sortBy(header));
}
for (const mark of document.querySelectorAll(".tip")) {
  mark.addEventListener("pointerenter", () => show(mark));
  mark.addEventListener("click", () => show(mark));
  mark.addEventListener("focus", () => show(mark));
  mark.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") hide(); });
  mark.addEventListener("blur", hide);
}
document.addEventListener("scroll", hide, true);
document.addEventListener("keydown", event => { if (event.key === "Escape") hide(); });
function unfold() {
  const part = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (part && part.tagName === "DETAILS") part.open = true;
}
window.addEventListener("hashchange", unfold);
unfold();
document.documentElement.dataset.ready = "yes";
"""
