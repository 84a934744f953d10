// @ts-check
/**
 * Makes the column names of every table of the class `sortable` buttons that sort its rows.
 * The first click sorts numbers from high to low and text from A to Z, the next one the other way.
 */
export default function sortTables() {
  /** @param {HTMLTableRowElement} row @param {number} column */
  const textOf = (row, column) => (row.cells[column].textContent ?? "").trim();

  /** @param {string} text */
  const numberOf = (text) => {
    if (text === "·") return -1; // Not started.
    return /^\d+(\.\d+)?( %)?$/.test(text) ? parseFloat(text) : NaN;
  };

  /**
   * Rows whose cell is empty stay at the end.
   * @param {HTMLTableSectionElement} body @param {number} column @param {boolean} ascending
   */
  const sort = (body, column, ascending) => {
    const isEmpty = (/** @type {HTMLTableRowElement} */ row) => textOf(row, column) === "";
    const filled = [...body.rows].filter((row) => !isEmpty(row));
    filled.sort((one, other) => {
      const [first, second] = [textOf(one, column), textOf(other, column)];
      const difference = numberOf(first) - numberOf(second);
      const order = Number.isNaN(difference) ? first.localeCompare(second) : difference;
      return ascending ? order : -order;
    });
    body.append(...filled, ...[...body.rows].filter(isEmpty));
  };

  /** @param {HTMLTableSectionElement} body @param {number} column */
  const isNumeric = (body, column) =>
    [...body.rows].every((row) => {
      const text = textOf(row, column);
      return text === "" || !Number.isNaN(numberOf(text));
    });

  for (const table of document.querySelectorAll("table.sortable")) {
    const body = /** @type {HTMLTableElement} */ (table).tBodies[0];
    const names = [.../** @type {HTMLTableElement} */ (table).querySelectorAll("thead th")];
    names.forEach((name, column) => {
      const button = document.createElement("button");
      button.append(...name.childNodes);
      name.append(button);
      button.addEventListener("click", () => {
        const now = name.getAttribute("aria-sort");
        const ascending = now === null ? !isNumeric(body, column) : now === "descending";
        for (const other of names) other.removeAttribute("aria-sort");
        name.setAttribute("aria-sort", ascending ? "ascending" : "descending");
        sort(body, column, ascending);
      });
    });
  }
}
