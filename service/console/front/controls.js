import { duration, el } from "./basics.js";

/** The button, the switch of the loading times, the progress line and the sentence under it. */
export function controls(link, say) {
  const run = el(
    "button", { type: "button", class: "run", lang: "en", onclick: () => press("simulate") },
    "Simulate Deployment Flow",
  );
  const stop = el("button", { type: "button", onclick: () => press("stop") }, say("stop"));
  const when = el("div", { class: "when", role: "group", "aria-label": say("when") },
    el("span", { class: "question", "aria-hidden": "true" }, say("when")));
  const sources = link.get("sources");
  const modes = ["every-request", "first-request", "start-up"].filter((mode) => sources[mode]);
  if (modes.length > 1) {
    for (const mode of [...modes, "all"]) {
      // Buttons, not radio buttons: JupyterLab keeps the arrow keys for itself.
      when.append(el("button", {
        type: "button", class: "choice", "data-mode": mode, "aria-pressed": "false",
        onclick: () => choose(mode),
      }, say(mode)));
    }
  }
  const steps = el("ol", { class: "steps", role: "list", "aria-label": say("progress") });
  const sentence = el("p", { class: "sentence", role: "status", "aria-live": "polite" });
  let chosen = link.get("flow").chosen ?? "start-up";

  function press(what) {
    const button = what === "simulate" ? run : stop;
    // Not `disabled`: that would throw the keyboard's focus away.
    if (button.getAttribute("aria-disabled") === "true") return;
    link.send({ do: what, mode: chosen });
  }

  function choose(mode) {
    chosen = mode;
    markChoice();
    link.send({ do: "choose", mode });
  }

  function markChoice() {
    for (const button of when.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button.dataset.mode === chosen));
    }
  }

  function update(flow) {
    chosen = flow.chosen ?? chosen;
    markChoice();
    run.setAttribute("aria-disabled", String(Boolean(flow.busy)));
    stop.setAttribute("aria-disabled", String(!flow.alive || flow.phase === "stopping"));
    showSteps(flow.steps ?? []);
    showSentence(flow.sentence);
  }

  function showSteps(list) {
    // Elements are kept, so that neither focus nor a reading voice loses its place.
    while (steps.children.length > list.length) steps.lastChild.remove();
    list.forEach((step, index) => {
      const item = steps.children[index] ?? steps.appendChild(el(
        "li", {}, el("span", { class: "mark", "aria-hidden": "true" }), el("span", { class: "label" }),
        el("span", { class: "hidden" }), el("span", { class: "took" }),
      ));
      const [mark, label, state, took] = item.children;
      item.className = step.state;
      if (step.state === "running") item.setAttribute("aria-current", "step");
      else item.removeAttribute("aria-current");
      mark.textContent = { waiting: "○", running: "●", done: "✓", failed: "✕" }[step.state];
      if (label.dataset.step !== step.id) label.replaceChildren(...phrases(say(`step_${step.id}`)));
      label.dataset.step = step.id;
      state.textContent = ` (${say(`state_${step.state}`)}) `;
      took.textContent = duration(step.ms);
    });
  }

  function showSentence(found) {
    const text = found ? say(found.key, found.values) : "";
    if (sentence.textContent !== text) sentence.textContent = text;
    sentence.dataset.kind = found?.kind ?? "";
  }

  link.on("flow", update);
  update(link.get("flow"));
  if (link.home !== "lab") stop.hidden = when.hidden = true; // nothing can be started there
  return el("div", { class: "controls" },
    el("div", { class: "row" }, run, stop, modes.length > 1 ? when : null), steps, sentence);
}

/** A label that may be broken where Japanese goes from katakana to kanji: a word ends there. */
function phrases(text) {
  return text.split(/(?<=[ァ-ヶー])(?=[一-鿿])/).flatMap((part) => [el("wbr"), part]).slice(1);
}
