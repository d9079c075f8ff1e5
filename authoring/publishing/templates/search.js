// Search in the lessons of one language. The list of their sections, `sections.js`, is loaded when
// the field is first used, as a script: it works without a server.
//
// A section is found if it contains all words of the query, in any order, also as parts of longer
// words: so Japanese needs no dictionary. NFKC makes full-width and half-width letters equal.
"use strict";
{
  const MOST = 20; // sections that are listed
  const BEFORE = 40, LENGTH = 180; // characters of a snippet: before the first word, and in all
  const form = document.querySelector("form[role=search]");
  const field = form.querySelector("input");
  const panel = form.querySelector(".found");
  const [status, list] = panel.children;

  const fold = (text) => text.normalize("NFKC").toLowerCase();

  function load() {
    if (form.querySelector("script")) return;
    const script = document.createElement("script");
    script.src = "sections.js";
    script.onload = () => {
      for (const section of SECTIONS) section.folded = fold(section.slice(2).join("\n"));
      show();
    };
    form.append(script);
  }

  function show() {
    const words = fold(field.value).split(/\s+/).filter(Boolean);
    panel.hidden = !words.length || !globalThis.SECTIONS;
    if (panel.hidden) return;
    const named = ([, , heading]) => words.some((word) => fold(heading).includes(word));
    const found = SECTIONS.filter(({ folded }) => words.every((word) => folded.includes(word)));
    found.sort((one, other) => named(other) - named(one)); // stable: else in the lessons' order
    const { none, some, many } = form.dataset;
    const text = found.length > MOST ? many : found.length ? some : none;
    status.textContent = text.replace("{n}", found.length).replace("{most}", MOST);
    list.replaceChildren(...found.slice(0, MOST).map((section) => makeItem(section, words)));
  }

  function makeItem([href, page, heading, text], words) {
    const item = document.createElement("li"), link = document.createElement("a");
    const snippet = document.createElement("p");
    link.href = href;
    link.textContent = heading === page ? page : `${heading} – ${page}`;
    snippet.append(...cutSnippet(text, words));
    item.append(link, snippet);
    return item;
  }

  function cutSnippet(text, words) {
    const characters = Array.from(text), pieces = characters.map(fold), folded = pieces.join("");
    // The number of the character that each place of the folded text comes from.
    const origin = pieces.flatMap((piece, number) => Array(piece.length).fill(number));
    const marked = new Set();
    for (const word of words)
      for (let at = folded.indexOf(word); at >= 0; at = folded.indexOf(word, at + word.length))
        for (let place = at; place < at + word.length; place++) marked.add(origin[place]);
    const places = words.map((word) => folded.indexOf(word)).filter((at) => at >= 0);
    const first = origin[Math.min(...places)] ?? 0; // 0: all words are in the heading
    let start = Math.max(0, first - BEFORE);
    const space = characters.indexOf(" ", start);
    if (start && space >= 0 && space < first) start = space + 1;
    const end = Math.min(start + LENGTH, characters.length);
    const parts = [start ? "… " : ""];
    for (let from = start, to; from < end; from = to) {
      to = from + 1;
      while (to < end && marked.has(to) === marked.has(from)) to++;
      const run = document.createElement(marked.has(from) ? "mark" : "span");
      run.textContent = characters.slice(from, to).join("");
      parts.push(run);
    }
    return [...parts, end < characters.length ? " …" : ""];
  }

  const close = () => (panel.hidden = true);

  form.hidden = false; // without this script there is no search, and no field
  field.addEventListener("focus", () => {
    load();
    show();
  });
  field.addEventListener("input", show);
  form.addEventListener("focusout", ({ relatedTarget: next }) => {
    if (next && !form.contains(next)) close();
  });
  document.addEventListener("pointerdown", ({ target }) => {
    if (!form.contains(target)) close();
  });
  list.addEventListener("click", ({ target }) => {
    if (target.closest("a")) close(); // the section may be on this page
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    list.querySelector("a")?.click();
  });
  form.addEventListener("keydown", (event) => {
    if (event.isComposing) return; // the key is for the input method
    const stops = [field, ...list.querySelectorAll("a")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && !panel.hidden) stops[stops.indexOf(document.activeElement) + step]?.focus();
    else if (event.key === "Escape" && field.value) {
      field.value = "";
      field.focus();
      close();
    } else if (event.key === "Escape") field.blur();
    else return;
    event.preventDefault();
  });
  document.addEventListener("keydown", (event) => {
    const writes = event.target.closest("input, textarea, select, [contenteditable]");
    if (event.key !== "/" || writes || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    field.focus();
    field.select();
  });
}
