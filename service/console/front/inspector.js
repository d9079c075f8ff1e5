import { el, keepRoom, ms } from "./basics.js";
import { plot } from "./plot.js";

/** The artifact inspector: what the running service says of itself, asked again and again. */
export function inspector(link, say) {
  const live = el("span", { class: "live", lang: "en" }, "Live");
  const before = "Simulate flow to view loaded production artifacts.";
  const body = keepRoom(el("div", { class: "body" }));
  // Always there: what is to come, what is loaded, or why nothing is known of it.
  const headline = keepRoom(el("p", { class: "headline" }));
  const facts = el("dl", { class: "facts" });
  const files = el("details", { class: "files", ontoggle: () => { body.style.minHeight = ""; } },
    el("summary", {}, say("files")));
  const latencyPlot = plot(link, say);
  const buttons = ["tamper", "kill", "more"].map((what) =>
    el("button", { type: "button", "data-do": what, onclick: (event) => press(event, what) },
      say(what)));
  const whatIf = el("div", { class: "what-if", role: "group", "aria-label": say("tamper_head") },
    el("span", { class: "question", "aria-hidden": "true" }, say("tamper_head")), ...buttons);
  // The verdict stands above the panes; a copy of it stays in sight of these buttons.
  const verdict = el("p", { class: "sentence", "aria-hidden": "true" });
  if (link.home !== "lab") whatIf.hidden = verdict.hidden = true;

  function press(event, what) {
    if (event.currentTarget.getAttribute("aria-disabled") !== "true") link.send({ do: what });
  }

  function showArtifact(artifact) {
    files.style.visibility = artifact.name ? "" : "hidden"; // its room is kept
    if (artifact.name) showFiles(artifact);
    showFacts(artifact, link.get("metrics"));
    showState(link.get("flow"));
  }

  /** All rows, whether they are known or not: a row that comes and goes would make the rest jump. */
  function showFacts(artifact, metrics) {
    const known = Boolean(artifact.name);
    const { first_s: first, ready_s: ready } = link.get("flow");
    const when = (condition, text) => (condition ? text() : "–");
    const rows = [
      ["engine", when(known, () => `${artifact.engine} · ${artifact.form}`)],
      ["precision", when(known, () => artifact.precision)],
      ["device", when(known, () => artifact.device)],
      ["threads", when(known, () => say("threads_value", artifact))],
      ["input", when(known, () => artifact.input)],
      ["preprocessing", when(known, () => say("preprocessing_value", artifact.preprocessing))],
      ["normalisation", when(known, () => say("normalisation_value", artifact.normalisation))],
      ["environment", when(known, () =>
        (artifact.matches ? `✓ ${say("matches")}` : say("differs", artifact)))],
      ["start_times", when(known, () => say("start_times_value", {
        load: artifact.startup_ms.load, warm: artifact.startup_ms["warm-up"],
      }))],
      ["first_prediction", when(first, () => say("first_prediction_value", { first, ready }))],
      ["requests", when(metrics.answered !== undefined, () => say("requests_value", metrics))],
      ["memory", when(metrics.memory_mb, () => `${metrics.memory_mb} MB`)],
      ["service_latency", when(metrics.p50_ms, () => say("service_latency_value", {
        p50: ms(metrics.p50_ms), p99: metrics.p99_ms ? ms(metrics.p99_ms) : "–",
      }))],
    ].filter(([name]) => link.home !== "console" || name !== "first_prediction");
    rows.forEach(([name, value], index) => {
      const term = facts.children[2 * index] ?? facts.appendChild(el("dt", {}, say(name)));
      const detail = facts.children[2 * index + 1] ?? facts.appendChild(el("dd"));
      if (term.textContent !== say(name)) term.textContent = say(name);
      if (detail.textContent !== value) detail.textContent = value;
    });
  }

  function showFiles(artifact) {
    const head = ["file", "size", "hash"].map((name) => el("th", { scope: "col" }, say(name)));
    const rows = artifact.files.map((file) => el("tr", {},
      el("th", { scope: "row" }, file.name,
        file.name === artifact.loaded ? el("b", { class: "tag" }, say("loaded_file")) : null),
      el("td", { class: "right" }, `${(file.bytes / 1e6).toFixed(1)} MB`),
      el("td", { class: "hash", title: file.sha256 },
        file.verified ? "✓ " : "✕ ", el("span", { class: "hidden" }, `${say("verified")} `),
        file.sha256.slice(0, 12))));
    files.replaceChildren(
      el("summary", {}, `${say("files")} (${artifact.files.length})`),
      el("table", { translate: "no" },
        el("thead", {}, el("tr", {}, ...head)), el("tbody", {}, ...rows)),
    );
  }

  function showState(flow) {
    const serving = flow.phase === "serving";
    live.classList.toggle("on", serving && link.home !== "recording");
    const { name, version, digest } = link.get("artifact");
    const measured = Object.values(link.get("latencies")).some((values) => values.length);
    const naive = flow.mode !== "start-up" && (measured || serving);
    const loaded = `${name} ${version} · ${digest}`;
    headline.textContent = name ? loaded : naive ? say("no_artifact_route") : before;
    headline.lang = name || naive ? "" : "en";
    headline.title = name ? say("model") : "";
    headline.classList.toggle("loaded", Boolean(name));
    verdict.textContent = flow.sentence ? say(flow.sentence.key, flow.sentence.values) : "";
    verdict.dataset.kind = flow.sentence?.kind ?? "";
    const ready = serving && !flow.busy;
    const able = { tamper: !flow.busy, kill: ready, more: ready };
    for (const button of buttons) {
      button.setAttribute("aria-disabled", String(!able[button.dataset.do]));
    }
  }

  link.on("artifact", showArtifact);
  const showNumbers = () => showFacts(link.get("artifact"), link.get("metrics"));
  link.on("metrics", showNumbers);
  link.on("flow", (flow) => { showState(flow); showNumbers(); });
  link.on("latencies", () => showState(link.get("flow")));
  showArtifact(link.get("artifact"));
  body.append(headline, latencyPlot, whatIf, verdict, facts, files);
  return el("section", { class: "pane inspector", "aria-label": "ARTIFACT INSPECTOR" },
    el("header", {}, el("span", { class: "file", lang: "en" }, "ARTIFACT INSPECTOR"), live), body);
}
