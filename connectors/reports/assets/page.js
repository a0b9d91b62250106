"use strict";

// Light and dark, and printing. What is chosen is kept where the browser lets a file keep anything.
(() => {
  const root = document.documentElement;
  const button = document.getElementById("theme");
  const kept = (() => {
    try { return localStorage.getItem("csp-billing-theme"); } catch { return null; }
  })();
  const preferred = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : preferred.matches);
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  if (kept === "dark" || kept === "light") root.dataset.theme = kept;
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try { localStorage.setItem("csp-billing-theme", root.dataset.theme); } catch { /* it holds for this visit */ }
    show();
  });
  preferred.addEventListener("change", show);
  show();
  document.getElementById("print").addEventListener("click", () => print());
  for (const one of document.querySelectorAll("#theme, #print, #filters, #findings-list, .pages")) one.hidden = false;
})();

// The marks of the charts say what they stand for when they are pointed at.
for (const mark of document.querySelectorAll("figure svg [role='graphics-symbol'][aria-label]")) {
  const title = document.createElementNS("http://www.w3.org/2000/svg", "title");
  title.textContent = mark.getAttribute("aria-label");
  mark.append(title);
}

// The findings: searched, filtered, sorted and paged. Every amount is a text that was made beforehand, and amounts come
// in their order, so that nothing is computed with here. What the data say only ever becomes the text of a node.
(() => {
  const byId = (id) => document.getElementById(id);
  const data = byId("findings-data");
  if (!data) return;
  const { count, columns } = JSON.parse(data.textContent);
  const collator = new Intl.Collator(undefined, { numeric: true, sensitivity: "base" });
  const form = byId("filters");
  const body = byId("findings-rows");
  const PRINTED = 2000;

  let matching = [];
  let page = 0;
  let sorted = { name: "", descending: false };
  let searched = null;
  const opened = new Set();

  const text = (name, row) => columns[name].values[columns[name].codes[row]] ?? "";
  const plain = (value) => value.normalize("NFC").toLowerCase();

  // What is searched of each row, made when something is searched for the first time.
  const searchedTexts = () => {
    if (!searched) {
      const lowered = Object.values(columns).map(({ values, codes }) => ({ values: values.map(plain), codes }));
      searched = Array.from({ length: count }, (_, row) =>
        lowered.map(({ values, codes }) => values[codes[row]] ?? "").join("\n"));
    }
    return searched;
  };

  // The place of each value of a column in its order.
  const placesOf = (column) => {
    if (!column.places) {
      const order = column.values.map((_, code) => code);
      if (!column.ordered) order.sort((a, b) => collator.compare(column.values[a], column.values[b]));
      column.places = new Int32Array(order.length);
      order.forEach((code, place) => { column.places[code] = place; });
    }
    return column.places;
  };

  // Rows without a value come last whichever way is sorted; equal ones stay in the order they came in.
  const sort = () => {
    if (!sorted.name) return;
    const { codes } = columns[sorted.name];
    const places = placesOf(columns[sorted.name]);
    const sign = sorted.descending ? -1 : 1;
    matching.sort((a, b) => {
      if (codes[a] < 0 || codes[b] < 0) return (codes[a] < 0) - (codes[b] < 0) || a - b;
      return sign * (places[codes[a]] - places[codes[b]]) || a - b;
    });
  };

  const select = () => {
    const asked = new FormData(form);
    const words = plain(asked.get("search")).split(/\s+/).filter(Boolean);
    const texts = words.length ? searchedTexts() : null;
    const standings = new Set(asked.getAll("standing"));
    const wanted = ["code", "customer", "currency"].filter((name) => asked.get(name)).map((name) =>
      ({ codes: columns[name].codes, code: columns[name].values.indexOf(asked.get(name)) }));
    matching = [];
    for (let row = 0; row < count; row += 1) {
      if (standings.has(text("standing", row))
          && wanted.every(({ codes, code }) => codes[row] === code)
          && (!texts || words.every((word) => texts[row].includes(word)))) matching.push(row);
    }
    sort();
    page = 0;
    show();
  };

  // One row of the table, and below it, where it is opened, what its code means and where it comes from.
  const fill = (node, row) => {
    for (const place of node.querySelectorAll("[data-text]")) {
      place.textContent = text(place.dataset.text, row);
      place.closest("[data-optional]")?.toggleAttribute("hidden", !place.textContent);
    }
    return node;
  };
  const rowOf = (row) => {
    const node = fill(byId("finding-row").content.cloneNode(true), row);
    node.querySelector("tr").dataset.standing = text("standing", row);
    const button = node.querySelector("button");
    button.dataset.row = row;
    button.setAttribute("aria-expanded", String(opened.has(row)));
    if (opened.has(row)) node.append(detailsOf(row));
    return node;
  };
  const detailsOf = (row) => {
    const node = fill(byId("finding-details").content.cloneNode(true), row);
    node.querySelector("[data-explanation]").append(...byId(`code-${text("code", row)}`).cloneNode(true).childNodes);
    return node;
  };

  const size = () => Number(form.elements.size.value);
  const pages = () => Math.max(1, Math.ceil(matching.length / size()));
  const number = (value) => value.toLocaleString("en");

  const list = (from, to) => body.replaceChildren(...matching.slice(from, to).map(rowOf));

  const show = () => {
    const from = page * size();
    const to = Math.min(from + size(), matching.length);
    list(from, to);
    const part = matching.length === count ? "" : `${number(matching.length)} of `;
    byId("shown").textContent = matching.length
      ? `${part}${number(count)} findings, ${number(from + 1)} to ${number(to)} shown`
      : `None of ${number(count)} findings matches`;
    byId("page").textContent = `Page ${number(page + 1)} of ${number(pages())}`;
    for (const button of document.querySelectorAll("[data-step]")) {
      button.disabled = Number(button.dataset.step) < 0 ? page === 0 : page + 1 >= pages();
    }
    for (const heading of document.querySelectorAll("#findings-table th[data-sort]")) {
      const isSorted = heading.dataset.sort === sorted.name;
      if (isSorted) heading.setAttribute("aria-sort", sorted.descending ? "descending" : "ascending");
      else heading.removeAttribute("aria-sort");
    }
  };

  let waiting = 0;
  form.addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(select, 100); });
  form.addEventListener("submit", (event) => { event.preventDefault(); select(); });
  // The fields are empty once the event is over.
  form.addEventListener("reset", () => { sorted = { name: "", descending: false }; setTimeout(select); });

  for (const heading of document.querySelectorAll("#findings-table th[data-sort]")) {
    heading.querySelector("button").addEventListener("click", () => {
      const name = heading.dataset.sort;
      sorted = { name, descending: sorted.name === name ? !sorted.descending : heading.dataset.first === "descending" };
      sort();
      page = 0;
      show();
    });
  }

  for (const button of document.querySelectorAll("[data-step]")) {
    button.addEventListener("click", () => {
      page += Number(button.dataset.step);
      show();
      byId("findings-table").scrollIntoView({ block: "start" });
    });
  }

  body.addEventListener("click", (event) => {
    const button = event.target.closest("button[data-row]");
    if (!button) return;
    const row = Number(button.dataset.row);
    const isOpen = opened.has(row);
    if (isOpen) {
      opened.delete(row);
      button.closest("tr").nextElementSibling.remove();
    } else {
      opened.add(row);
      button.closest("tr").after(detailsOf(row));
    }
    button.setAttribute("aria-expanded", String(!isOpen));
  });

  // Links elsewhere on the page that show the findings of one code or customer.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-filter]");
    if (!link) return;
    form.reset();
    form.elements[link.dataset.filter].value = link.dataset.value;
  });

  // Paper has no pages to turn: as many as are sensible are listed, and it says how many that are.
  addEventListener("beforeprint", () => {
    list(0, PRINTED);
    const printed = Math.min(PRINTED, matching.length);
    byId("printed").textContent = printed === count
      ? `All ${number(count)} findings`
      : `${number(printed)} of the ${number(matching.length)} findings that match, of ${number(count)} in all; `
        + "reconciliation.xlsx has every one";
  });
  addEventListener("afterprint", show);

  select();
})();
