"use strict";
// Sorts a table by a column, and hides rows without the text that is searched for.
for (const table of document.querySelectorAll("table.sorts")) {
  table.querySelectorAll("thead th").forEach((head, column) => {
    const button = head.querySelector("span");
    button.addEventListener("click", () => sort(table, head, column));
    button.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        sort(table, head, column);
      }
    });
  });
}
function sort(table, head, column) {
  const falls = head.getAttribute("aria-sort") === "ascending";
  for (const other of head.parentNode.children) other.removeAttribute("aria-sort");
  head.setAttribute("aria-sort", falls ? "descending" : "ascending");
  const rows = [...table.tBodies[0].rows].map((row, index) => [row.cells[column], row, index]);
  rows.sort(([a, , i], [b, , j]) => (falls ? -1 : 1) * compared(a, b) || i - j);
  table.tBodies[0].append(...rows.map(([, row]) => row));
}
function compared(a, b) {
  const [x, y] = [a.dataset.v, b.dataset.v];
  if (x !== undefined && y !== undefined) return Number(x) - Number(y);
  if (x !== undefined || y !== undefined) return x !== undefined ? -1 : 1;
  return a.textContent.localeCompare(b.textContent);
}
for (const field of document.querySelectorAll("input[type=search]")) {
  field.addEventListener("input", () => {
    const text = field.value.trim().toLowerCase();
    for (const row of document.getElementById(field.dataset.table).tBodies[0].rows) {
      row.hidden = text !== "" && !row.textContent.toLowerCase().includes(text);
    }
  });
}
