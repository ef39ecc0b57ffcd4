// Sorts a table by the column whose heading is pressed, filters rows by words, and copies reproducers.
"use strict";

const number = (cell) => {
  const text = cell.dataset.value ?? cell.textContent;
  return text === "inf" ? Infinity : text === "" || text === "–" ? -Infinity : parseFloat(text);
};

for (const heading of document.querySelectorAll("table.sortable th[scope=col]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => {
    const table = heading.closest("table"), column = heading.cellIndex;
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    const key = (row) => (column === 0 ? row.cells[0].textContent : number(row.cells[column]));
    rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (ascending ? 1 : -1));
    table.tBodies[0].append(...rows);
  });
}

// A row of a table, or one of a matrix with its remark. What each is called, and by which name it is told exactly.
const FEW = 200;  // so many rows are opened, not only named
const rows = [];
for (const group of document.querySelectorAll(".rows")) {
  const inDetails = group.tagName === "DETAILS", subject = group.dataset.subject;
  for (const element of inDetails ? group.querySelectorAll("tbody > tr") : [group]) {
    const cells = (inDetails ? element : element.rows[0]).cells;
    const [backend, dtype] = [...cells].slice(inDetails ? 0 : 1).map((cell) => cell.textContent);
    const name = inDetails ? group.querySelector("summary").textContent : cells[0].textContent;
    rows.push({ element, group, subject: subject.toLowerCase().split(" "), backend, dtype, name, text: null });
  }
}
const known = { subject: new Set(rows.flatMap((row) => row.subject)), backend: new Set(rows.map((row) => row.backend)),
  dtype: new Set(rows.map((row) => row.dtype)) };
const opened = new Map([...document.querySelectorAll("details.rows")].map((group) => [group, group.open]));

const matches = (row, word) => {
  if (known.subject.has(word)) return row.subject.includes(word);
  if (known.backend.has(word)) return row.backend === word;
  if (known.dtype.has(word)) return row.dtype === word;
  row.text ??= `${row.name} ${row.element.textContent}`.toLowerCase();
  return row.text.includes(word);
};

const filter = document.getElementById("filter"), status = document.getElementById("shown");

const show = () => {
  const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = new Map();  // by group, the backends and dtypes of its rows
  let count = 0;
  for (const row of rows) {
    const fits = words.every((word) => matches(row, word));
    row.element.hidden = !fits;
    if (!fits) continue;
    if (!shown.has(row.group)) shown.set(row.group, new Set());
    shown.get(row.group).add(`${row.backend} ${row.dtype}`);
    count += 1;
  }
  for (const [group, open] of opened) {
    group.hidden = !shown.has(group);
    group.open = words.length ? count <= FEW : open;
    for (const item of group.querySelectorAll("li[data-of]")) item.hidden = !shown.get(group)?.has(item.dataset.of);
  }
  status.textContent = words.length ? `${count.toLocaleString("en")} of ${rows.length.toLocaleString("en")} rows` : "";
};

const fromAddress = () => {
  const asked = new URLSearchParams(location.hash.slice(1)).get("filter");
  if (asked !== null) { filter.value = asked; show(); }
};

filter.form.hidden = false;
filter.form.addEventListener("submit", (event) => event.preventDefault());
filter.addEventListener("input", () => {
  show();
  history.replaceState(null, "", filter.value.trim() ? `#${new URLSearchParams({ filter: filter.value.trim() })}` : "#rows");
});
addEventListener("hashchange", fromAddress);
fromAddress();

// A reproducer that is opened gets a button that copies it.
document.addEventListener("toggle", ({ target }) => {
  const code = target.closest(".figures td")?.querySelector("code");
  if (!code || target.querySelector("button")) return;
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "copy";
  code.after(button);
  button.addEventListener("click", async () => {
    try {
      await navigator.clipboard.writeText(code.textContent);
    } catch {  // a page that was opened as a file may not use the clipboard: select the text instead
      getSelection().selectAllChildren(code);
      document.execCommand("copy");
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}, true);
