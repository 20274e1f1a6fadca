"""The frame of a report: readable on a phone, in the dark and on paper."""

from __future__ import annotations

from string import Template

PAGE = Template("""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title</title>
<style>
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --paper: #fff;
  --tint: #f2f6fa; --line: #d9dde3; --accent: #0072b2; }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a0a6ae; --paper: #15181c;
  --tint: #1d232a; --line: #343b44; --accent: #56b4e9; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 46rem; color: var(--ink);
  background: var(--paper); font: 1rem/1.6 system-ui, sans-serif; overflow-wrap: break-word; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .2rem 0 1rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .5rem; }
.kind, .caption, figcaption { color: var(--soft); font-size: .875rem; }
.kind { margin: 0; }
.caption { margin-top: .3rem; }
.finding { background: var(--tint); border-left: 4px solid var(--accent); padding: .8rem 1rem;
  font-size: 1.05rem; }
figure { margin: 1.2rem 0; }
img { display: block; max-width: 100%; height: auto; background: #fff; border-radius: 6px;
  border: 1px solid var(--line); }
figcaption { margin-top: .4rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .8rem .35rem 0; border-bottom: 1px solid var(--line);
  vertical-align: top; }
th { font-weight: 600; }
th button { all: unset; cursor: pointer; }
th button:focus-visible { outline: 2px solid var(--accent); }
th[aria-sort] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
pre { background: var(--tint); padding: .8rem; overflow-x: auto; font-size: .8rem;
  line-height: 1.45; border-radius: 6px; }
summary { cursor: pointer; font-weight: 600; margin: .6rem 0; }
@media print { body { max-width: none; } details > *, pre { white-space: pre-wrap; } }
</style>
</head>
<body>
<header>
<p class="kind">$kind</p>
<h1>$title</h1>
</header>
<main>
$body
<h2>Run it again</h2>
<p>With the configuration below saved as config.toml (it also lies beside this page), this gives
the same numbers, bit for bit, on the same kind of processor and library versions:</p>
<pre>$command</pre>
<details><summary>Complete configuration</summary>
<pre>$config</pre>
</details>
<details><summary>Versions</summary>
$versions
<p class="caption">$machine; the computation took $duration.</p>
</details>
</main>
<script>
"use strict";
function key(cell) {
  const text = cell.textContent.trim();
  const number = text
    .replace(/[\u2212\u207b]/g, "-")
    .replace(/[⁰¹²³⁴-⁹]/g, (digit) => "⁰¹²³⁴⁵⁶⁷⁸⁹".indexOf(digit))
    .match(/^[-+]?[0-9.]+(?: × 10(-?[0-9]+))?/);
  return number ? parseFloat(number[0]) * 10 ** (number[1] || 0) : text;
}
function order(a, b) {
  if (typeof a !== typeof b) return typeof a === "number" ? -1 : 1;
  return typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
}
for (const table of document.querySelectorAll("table")) {
  if (table.tBodies[0].rows.length < 2) continue;
  [...table.tHead.rows[0].cells].forEach((head, column) => {
    const button = document.createElement("button");
    button.append(...head.childNodes);
    head.append(button);
    button.addEventListener("click", () => {
      const down = head.getAttribute("aria-sort") === "ascending";
      for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
      head.setAttribute("aria-sort", down ? "descending" : "ascending");
      const rows = [...table.tBodies[0].rows];
      rows.sort((a, b) => order(key(a.cells[column]), key(b.cells[column])) * (down ? -1 : 1));
      table.tBodies[0].append(...rows);
    });
  });
}
</script>
</body>
</html>
""")
