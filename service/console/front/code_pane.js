import { el } from "./basics.js";

/** The code pane: the very file that runs; the lines that do the step under way light up. */
export function codePane(link, say) {
  const title = el("span", { class: "file", lang: "en", translate: "no" });
  const hash = el("span", { class: "hash", translate: "no" });
  const code = el("pre", {
    class: "code", tabindex: 0, role: "region", "aria-label": say("code"), translate: "no",
  });
  let shown = null;

  function showFile(view) {
    shown = view;
    title.textContent = view.file;
    hash.textContent = `sha256 ${view.sha256.slice(0, 12)}`;
    hash.title = say("code_hash", { hash: view.sha256 });
    code.setAttribute("aria-label", `${say("code")}: ${view.file}`);
    code.replaceChildren(
      ...view.lines.map((html, index) => {
        const text = el("span", { class: "text" });
        text.innerHTML = html || " "; // made by source.py, which escapes the code
        // A long line is wrapped, and goes on to the right of where it began.
        text.style.setProperty("--indent", `${text.textContent.search(/\S|$/) + 2}ch`);
        const number = el("span", { class: "number", "aria-hidden": "true" }, String(index + 1));
        return el("span", { class: "line" }, number, text);
      }),
    );
    code.scrollTop = 0;
  }

  function update(flow) {
    const sources = link.get("sources");
    const runs = flow.alive || flow.busy || !flow.chosen;
    const view = sources[runs ? flow.mode : flow.chosen] ?? sources["start-up"];
    if (view !== shown) showFile(view);
    const lit = new Set(view.steps[flow.lit] ?? []);
    let first = null;
    [...code.children].forEach((line, index) => {
      const on = lit.has(index + 1);
      line.classList.toggle("lit", on);
      if (on) first ??= line;
    });
    if (first && code.dataset.lit !== flow.lit) {
      const top = first.offsetTop - code.clientHeight / 3;
      code.scrollTo({ top, behavior: calm() ? "auto" : "smooth" });
    }
    code.dataset.lit = flow.lit ?? "";
  }

  link.on("flow", update);
  update(link.get("flow"));
  return el(
    "section", { class: "pane code-pane", "aria-label": say("code") },
    el("header", {}, title, hash), code,
  );
}

function calm() {
  return matchMedia("(prefers-reduced-motion: reduce)").matches;
}
