// A question in a notebook. This page does not know the answer: it sends what was chosen to the
// kernel, and shows the reply. Every option is a separate button, because JupyterLab uses the arrow
// keys that a group of radio buttons would need.

function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
}

// Show `code` as code, and all other text unchanged.
function rich(text) {
  return text
    .split("`")
    .map((part, at) => (at % 2 ? element("code", { textContent: part }) : part));
}

function render({ model, el }) {
  const first = model.get("view");
  const { labels } = first;
  const chosen = [];
  const name = `question-${first.question}-${Math.random().toString(36).slice(2, 8)}`;
  const send = (answer) => model.send({ do: "answer", answer });

  const notice = element("p", { className: "wq-notice" });
  const answers = element("div", { className: "wq-answers" });
  const verdict = element("div", { className: "wq-verdict" });
  verdict.setAttribute("role", "status"); // read out when its content changes
  const proof = element("div", { className: "wq-proof", hidden: true });
  const found = element("div", { className: "wq-found" });
  found.setAttribute("role", "status");

  const root = element(
    "div",
    { className: "wq", lang: first.language },
    element("p", { className: "wq-text", id: name }, ...rich(first.text)),
    element("p", { className: "wq-how", textContent: first.how }),
    notice,
    answers,
    verdict,
    proof,
    found,
  );
  root.setAttribute("role", "group");
  root.setAttribute("aria-labelledby", name);
  // While the focus is in here, JupyterLab must ignore its command keys (Enter, single letters), but
  // not those with Ctrl or Cmd: Ctrl+S must save the notebook, not the page. JupyterLab reads the
  // focused element first, so the attribute must be on it, not only on its parents.
  const rest = ({ ctrlKey, metaKey, target = root }) => {
    for (const node of [root, target])
      node.toggleAttribute("data-lm-suppress-shortcuts", !(ctrlKey || metaKey));
  };
  for (const when of ["keydown", "keyup", "focusin"]) root.addEventListener(when, rest);
  rest({});

  const buttons = new Map();
  for (const { id, text } of first.options) {
    const mark = element("span", { className: "wq-mark" });
    mark.setAttribute("aria-hidden", "true");
    const words = element("span", {}, ...rich(text));
    const button = element("button", { type: "button", className: "wq-option" }, mark, words);
    button.dataset.option = id;
    button.addEventListener("click", () => choose[first.kind](id, button));
    buttons.set(id, { button, mark });
    answers.append(button);
  }

  const choose = {
    one(id) {
      chosen.splice(0, chosen.length, id);
      send([...chosen]);
    },
    several(id, button) {
      const at = chosen.indexOf(id);
      if (at < 0) chosen.push(id);
      else chosen.splice(at, 1);
      button.setAttribute("aria-pressed", String(at < 0));
      buttons.get(id).mark.textContent = at < 0 ? "☑" : "☐";
    },
    order(id) {
      if (chosen.includes(id)) return;
      chosen.push(id);
      showOrder();
    },
  };

  const soFar = element("p", { className: "wq-order" });
  function showOrder() {
    const texts = chosen.map((id, at) => {
      const { button, mark } = buttons.get(id);
      mark.textContent = String(at + 1);
      button.setAttribute("aria-pressed", "true");
      return `${at + 1}. ${button.lastChild.textContent}`;
    });
    soFar.textContent = `${labels.chosen}: ${texts.join("  ") || labels.none}`;
  }

  function action(label, act, className = "wq-action") {
    const button = element("button", { type: "button", className, textContent: label });
    button.addEventListener("click", act);
    return button;
  }

  if (first.kind === "several") {
    for (const { button, mark } of buttons.values()) {
      button.setAttribute("aria-pressed", "false");
      mark.textContent = "☐";
    }
    answers.append(action(labels.check, () => send([...chosen])));
  } else if (first.kind === "order") {
    soFar.setAttribute("role", "status");
    for (const { button } of buttons.values()) button.setAttribute("aria-pressed", "false");
    answers.append(
      soFar,
      action(labels.check, () => send([...chosen])),
      action(labels.again, () => {
        chosen.length = 0;
        for (const { button, mark } of buttons.values()) {
          mark.textContent = "";
          button.setAttribute("aria-pressed", "false");
        }
        showOrder();
      }),
    );
    showOrder();
  } else if (first.kind === "number") {
    const input = element("input", { type: "text", inputMode: "decimal", id: `${name}-number` });
    const label = element("label", { htmlFor: input.id, textContent: `${labels.number}: ` });
    const submit = () => send(input.value); // the kernel reads it as the command line does
    input.addEventListener("keydown", (event) => event.key === "Enter" && submit());
    answers.append(label, input, ` ${first.unit} `, action(labels.check, submit));
  }

  proof.append(action(labels.evidence, () => model.send({ do: "evidence" })));

  function showVerdict(view) {
    verdict.replaceChildren();
    verdict.className = "wq-verdict";
    if (view.problem) {
      verdict.append(element("p", { textContent: view.problem }));
    } else if (view.verdict) {
      const { correct, headline, feedback, section } = view.verdict;
      verdict.classList.add(correct ? "wq-right" : "wq-wrong");
      verdict.append(element("p", { className: "wq-headline", textContent: headline }));
      for (const text of feedback) verdict.append(element("p", {}, ...rich(text)));
      verdict.append(element("p", { className: "wq-section", textContent: section }));
      if (first.kind === "one") {
        for (const { mark } of buttons.values()) mark.textContent = "";
        for (const id of view.verdict.answer) {
          buttons.get(id).mark.textContent = correct ? "✓" : "✗";
        }
      }
    }
    proof.hidden = !view.verdict;
  }

  function showEvidence({ evidence }) {
    const shown = [];
    if (evidence === "running") shown.push(element("p", { textContent: labels.running }));
    else if (evidence?.problem) shown.push(element("p", { textContent: evidence.problem }));
    else if (evidence) {
      shown.push(element("p", {}, ...rich(evidence.shows)));
      if (evidence.varies) shown.push(element("p", {}, ...rich(evidence.varies)));
      if (evidence.values.length) shown.push(bars(evidence));
      if (evidence.line) shown.push(element("p", { className: "wq-how", textContent: evidence.line }));
    }
    found.replaceChildren(...shown);
  }

  function update() {
    const view = model.get("view");
    notice.textContent = view.notice;
    notice.hidden = !view.notice;
    if (view.count !== shownCount) showVerdict(view);
    shownCount = view.count;
    if (view.evidence !== shownEvidence) showEvidence(view);
    shownEvidence = view.evidence;
  }

  let shownCount = 0;
  let shownEvidence = null;
  model.on("change:view", update);
  update();
  el.append(root);
  return () => model.off("change:view", update);
}

function bars({ values, target }) {
  const most = Math.max(...values.map(([, value]) => value), target ?? 0, 1e-12);
  const table = element("table", { className: "wq-bars" });
  for (const [name, value, text] of values) {
    const bar = element("div", { className: "wq-bar" });
    bar.style.width = `${Math.max(0.5, (100 * value) / most)}%`;
    const track = element("div", { className: "wq-track" }, bar);
    if (target !== null) {
      const line = element("div", { className: "wq-target" });
      line.style.left = `${(100 * target) / most}%`;
      track.append(line);
    }
    const drawn = element("td", { className: "wq-drawn" }, track);
    drawn.setAttribute("aria-hidden", "true");
    const heading = element("th", { scope: "row", textContent: name });
    table.append(element("tr", {}, heading, drawn, element("td", { className: "wq-value", textContent: text })));
  }
  return table;
}

export default { render };
