// Sorts a table by the column whose heading is clicked, filters rows by a text, and copies reproducers.
"use strict";

const number = (cell) => {
  const text = cell.dataset.value ?? cell.textContent;
  return text === "inf" ? Infinity : text === "" || text === "–" ? -Infinity : parseFloat(text);
};

for (const heading of document.querySelectorAll("table.sortable th")) {
  heading.tabIndex = 0;
  const sort = () => {
    const table = heading.closest("table"), column = heading.cellIndex;
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.querySelectorAll("th")) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    const rows = [...table.tBodies[0].rows];
    const key = (row) => (column === 0 ? row.cells[0].textContent : number(row.cells[column]));
    rows.sort((a, b) => (key(a) < key(b) ? -1 : key(a) > key(b) ? 1 : 0) * (ascending ? 1 : -1));
    table.tBodies[0].append(...rows);
  };
  heading.addEventListener("click", sort);
  heading.addEventListener("keydown", (event) => { if (event.key === "Enter") sort(); });
}

const filter = document.getElementById("filter");
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/);
  for (const group of document.querySelectorAll("details.rows")) {
    const shown = words.every((word) => group.dataset.text.includes(word));
    group.hidden = !shown;
  }
});

for (const button of document.querySelectorAll("button.copy")) {
  button.addEventListener("click", async () => {
    const text = button.dataset.text;
    try {
      await navigator.clipboard.writeText(text);
    } catch {  // a page that was opened as a file may not use the clipboard: select the text instead
      const area = document.createElement("textarea");
      area.value = text;
      document.body.append(area);
      area.select();
      document.execCommand("copy");
      area.remove();
    }
    button.textContent = "copied";
    setTimeout(() => { button.textContent = "copy"; }, 1500);
  });
}
