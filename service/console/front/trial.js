import { el, keepRoom, ms } from "./basics.js";

const MOST_MB = 10; // the service takes no more
const PARTS = ["queue", "load", "preprocess", "forward"];

/** Try it: a photo in, the five most probable classes out, and where the milliseconds went. */
export function trial(link, say) {
  const input = el("input", { type: "file", accept: "image/*", hidden: true,
    onchange: () => take(input.files[0]) });
  const choose = el("button", { type: "button", onclick: () => input.click() }, say("choose"));
  const drop = el("div", { class: "drop", ondragover: over, ondragleave: leave, ondrop: dropped },
    el("span", {}, say("try_hint")), choose, input);
  const samples = el("div", { class: "samples", role: "group", "aria-label": say("samples") },
    ...(link.get("samples") ?? []).map((sample) => el("button", {
      type: "button", class: "sample", "aria-label": say("sample", sample), title: sample.name,
      onclick: () => trySample(sample),
    }, el("img", { src: sample.picture, alt: "" }))));
  const message = el("p", { class: "sentence", role: "status" });
  const photo = el("img", { class: "photo", alt: "" });
  const credit = el("p", { class: "credit" });
  const answer = el("div", { class: "answer" });
  let pictureUrl = null;
  if (link.home === "recording") drop.hidden = true;

  function over(event) {
    event.preventDefault();
    drop.classList.add("over");
  }
  function leave() {
    drop.classList.remove("over");
  }
  function dropped(event) {
    event.preventDefault();
    leave();
    take(event.dataTransfer.files[0]);
  }

  async function take(file) {
    input.value = "";
    if (!file || !ready()) return;
    if (file.size > MOST_MB * 1e6) {
      tell("try_large", { name: file.name, most: MOST_MB }, "bad");
      return;
    }
    if (pictureUrl) URL.revokeObjectURL(pictureUrl);
    pictureUrl = URL.createObjectURL(file);
    show(file.name, pictureUrl, "");
    tell("try_wait");
    link.send({ do: "predict", name: file.name }, await file.arrayBuffer());
  }

  function trySample(sample) {
    if (!ready()) return;
    show(sample.name, sample.picture, say("credit", sample));
    tell("try_wait");
    link.send({ do: "sample", name: sample.name });
  }

  function ready() {
    const able = link.home === "recording" || link.get("flow").phase === "serving";
    if (!able) tell("try_first", {}, "bad");
    return able;
  }

  function tell(key, values = {}, kind = "") {
    message.textContent = key ? say(key, values) : "";
    message.dataset.kind = kind;
  }

  function show(name, url, words) {
    answer.replaceChildren();
    photo.alt = say("photo", { name });
    photo.hidden = false;
    photo.onerror = () => { photo.hidden = true; }; // the service will say what it is
    photo.src = url;
    credit.textContent = words;
  }

  function update(found) {
    if (!found.key && !found.predictions) return;
    if (found.key) {
      tell(found.key, found.values, "bad");
      answer.replaceChildren();
      return;
    }
    tell("");
    const sample = (link.get("samples") ?? []).find((one) => one.name === found.name);
    if (sample) show(sample.name, sample.picture, say("credit", sample));
    const title = say("predictions", { name: found.name });
    const bars = found.predictions.map(({ label, probability }) => el("li", {},
      el("span", { class: "label", lang: "en" }, label),
      el("span", { class: "bar", "aria-hidden": "true" },
        el("span", { style: `width:${(100 * probability).toFixed(1)}%` })),
      el("span", { class: "value" }, `${(100 * probability).toFixed(1)} %`)));
    answer.replaceChildren(
      el("ol", { class: "bars", "aria-label": title }, ...bars), where(found, say));
  }

  photo.hidden = true;
  link.on("trial", update);
  update(link.get("trial"));
  return el("section", { class: "pane trial", "aria-label": say("try") },
    el("header", {}, el("span", { class: "file" }, say("try"))),
    keepRoom(el("div", { class: "body" }, drop, samples, message,
      el("div", { class: "result" }, el("div", { class: "seen" }, photo, credit), answer))));
}

/** Where the milliseconds went, as one bar of parts, and in words. */
function where(found, say) {
  const parts = PARTS.filter((name) => found.timing_ms[name] !== undefined)
    .map((name) => [name, found.timing_ms[name]]);
  const inside = parts.reduce((sum, [, value]) => sum + value, 0);
  parts.push(["rest", Math.max(0, found.total_ms - inside)]);
  const words = (name, value) => `${say(`part_${name}`)} ${ms(value)} ms`;
  return el("div", { class: "where" },
    el("p", {}, say("where", { total: ms(found.total_ms) })),
    el("div", { class: "stack", "aria-hidden": "true" },
      ...parts.map(([name, value]) =>
        el("span", { class: `part ${name}`, style: `flex-grow:${Math.max(value, 0.01)}` }))),
    el("ul", { class: "legend" }, ...parts.map(([name, value]) =>
      el("li", {}, el("span", { class: `chip ${name}`, "aria-hidden": "true" }),
        words(name, value)))));
}
