"use strict";
// Texts of data and models reach the page through textContent alone; nothing here makes markup of them.
(function () {
  const settings = JSON.parse(document.getElementById("settings").textContent);
  const blocks = Array.from(document.querySelectorAll("script.block"));
  const parsed = new Array(blocks.length).fill(null);
  const per = 10, FIRST = 3, LONGEST = 700;
  const by = (id) => document.getElementById(id);
  document.querySelectorAll(".scroll").forEach((box) => {
    const measure = () => { box.previousElementSibling.hidden = box.scrollWidth <= box.clientWidth; };
    measure();
    const sizes = new ResizeObserver(measure);
    sizes.observe(box);
    sizes.observe(box.firstElementChild);
  });
  const q = by("q"), sort = by("sort"), flag = by("flag"), against = by("against"), shown = by("shown"), items = by("items"), status = by("status");
  let page = 0, found = [], total = 0;

  function block(i) {
    if (parsed[i] === null) { parsed[i] = JSON.parse(blocks[i].textContent); blocks[i].textContent = ""; }
    return parsed[i];
  }
  function row(n) { return block(Math.floor(n / settings.block))[n % settings.block]; }
  function make(tag, name, text) {
    const node = document.createElement(tag);
    if (name) node.className = name;
    if (text !== undefined) node.textContent = text;
    return node;
  }
  function option(select, value, text) { const node = make("option", "", text); node.value = value; select.append(node); }

  if (blocks.length) total = (blocks.length - 1) * settings.block + block(blocks.length - 1).length;
  option(sort, "", "order of the test set");
  settings.systems.forEach((name, i) => { option(sort, i + ":up", name + ", worst first"); option(sort, i + ":down", name + ", best first"); option(against, String(i), name); });
  settings.systems.forEach((name, i) => {
    const label = make("label"), box = make("input");
    box.type = "checkbox"; box.value = String(i); box.checked = i < 4;
    label.append(box, make("span", "", name));
    shown.append(label);
  });

  const flags = new Set();
  function eachRow(visit) { for (let n = 0; n < total; n++) visit(row(n), n); }
  function fillFlags() {
    eachRow((r) => { for (let i = FIRST; i < r.length; i++) if (r[i][2]) r[i][2].split(", ").forEach((name) => flags.add(name)); });
    option(flag, "", "any or none");
    Array.from(flags).sort().forEach((name) => option(flag, name, name.replaceAll("_", " ")));
  }
  function matches(r, words, wanted) {
    if (wanted && !r.some((cell, i) => i >= FIRST && cell[2].split(", ").includes(wanted))) return false;
    if (!words.length) return true;
    const text = r.map((cell, i) => (i < FIRST ? cell : cell[0] || "")).join("\n").toLowerCase();
    return words.every((word) => text.includes(word));
  }
  function search() {
    const words = q.value.toLowerCase().split(/\s+/).filter(Boolean), wanted = flag.value;
    found = [];
    eachRow((r, n) => { if (matches(r, words, wanted)) found.push(n); });
    if (sort.value) {
      const [at, way] = sort.value.split(":"), sign = way === "up" ? 1 : -1, column = FIRST + Number(at);
      const keys = new Map(found.map((n) => { const value = row(n)[column][1]; return [n, value === null ? Infinity : sign * value]; }));
      found.sort((a, b) => keys.get(a) - keys.get(b) || a - b);
    }
    page = 0;
    show();
  }
  // Longest common subsequence of words, over texts short enough for a table of lengths.
  function diff(before, after) {
    const a = before.match(/\S+\s*/g) || [], b = after.match(/\S+\s*/g) || [];
    const same = (i, j) => a[i].trimEnd() === b[j].trimEnd();
    if (a.length > LONGEST || b.length > LONGEST) return null;
    const width = b.length + 1, table = new Uint16Array((a.length + 1) * width);
    for (let i = a.length - 1; i >= 0; i--)
      for (let j = b.length - 1; j >= 0; j--)
        table[i * width + j] = same(i, j) ? table[(i + 1) * width + j + 1] + 1 : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
    const parts = [];
    const push = (kind, text) => { const last = parts[parts.length - 1]; if (last && last[0] === kind) last[1] += text; else parts.push([kind, text]); };
    let i = 0, j = 0;
    while (i < a.length && j < b.length) {
      if (same(i, j)) { push("", b[j]); i++; j++; }
      else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) push("del", a[i++]);
      else push("ins", b[j++]);
    }
    while (i < a.length) push("del", a[i++]);
    while (j < b.length) push("ins", b[j++]);
    return parts;
  }
  function answer(name, cell, standard) {
    const card = make("div", "answer"), head = make("h4", "", name + (cell[1] === null ? "" : " · " + settings.primary + " " + cell[1].toFixed(1)));
    card.append(head);
    const text = make("p");
    if (cell[0] === null) text.textContent = "n/a: no answer";
    else {
      const parts = standard === null ? null : diff(standard, cell[0]);
      if (parts === null) text.textContent = cell[0];
      else parts.forEach(([kind, piece]) => text.append(kind ? make(kind, "", piece) : document.createTextNode(piece)));
    }
    card.append(text);
    if (cell[2]) card.append(make("p", "flags", "flags: " + cell[2].replaceAll("_", " ")));
    return card;
  }
  function show() {
    const pages = Math.max(1, Math.ceil(found.length / per));
    page = Math.min(Math.max(0, page), pages - 1);
    items.replaceChildren();
    const chosen = Array.from(shown.querySelectorAll("input:checked")).map((box) => Number(box.value));
    found.slice(page * per, (page + 1) * per).forEach((n) => {
      const r = row(n), article = make("article", "item"), head = make("h3", "", r[1] || "(no title)"), answers = make("div", "answers");
      head.append(" ", make("span", "id", r[0]));
      const other = against.value === "none" ? null : against.value === "" ? r[2] : r[FIRST + Number(against.value)][0];
      answers.append(answer("expected", [r[2], null, ""], null));
      chosen.forEach((i) => answers.append(answer(settings.systems[i], r[FIRST + i], against.value === String(i) ? null : other)));
      article.append(head, answers);
      items.append(article);
    });
    status.textContent = found.length.toLocaleString("en") + " of " + total.toLocaleString("en") + " items";
    by("where").textContent = "page " + (page + 1) + " of " + pages;
    by("back").disabled = page === 0;
    by("next").disabled = page >= pages - 1;
  }
  let timer = 0;
  q.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, 200); });
  [sort, flag].forEach((select) => select.addEventListener("change", search));
  [against, shown].forEach((node) => node.addEventListener("change", show));
  by("controls").addEventListener("submit", (event) => { event.preventDefault(); search(); });
  by("back").addEventListener("click", () => { page--; show(); items.scrollIntoView(); });
  by("next").addEventListener("click", () => { page++; show(); items.scrollIntoView(); });
  by("controls").hidden = false;
  by("pager").hidden = false;
  found = Array.from({ length: total }, (_, n) => n);
  show();
  setTimeout(fillFlags, 0);
})();
