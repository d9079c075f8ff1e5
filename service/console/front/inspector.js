import { el, ms } from "./basics.js";
import { plot } from "./plot.js";

/** The artifact inspector: what the running service says of itself, asked again and again. */
export function inspector(link, say) {
  const live = el("span", { class: "live", lang: "en" }, "Live");
  const before = el("p", { class: "muted before", lang: "en" },
    "Simulate flow to view loaded production artifacts.");
  const facts = el("dl", { class: "facts" });
  const files = el("details", { class: "files" });
  const silent = el("p", { class: "muted" }, say("no_artifact_route"));
  const latencyPlot = plot(link, say);
  const buttons = ["tamper", "kill", "more"].map((what) =>
    el("button", { type: "button", "data-do": what, onclick: (event) => press(event, what) },
      say(what)));
  const whatIf = el("div", { class: "what-if", role: "group", "aria-label": say("tamper_head") },
    el("span", { class: "question", "aria-hidden": "true" }, say("tamper_head")), ...buttons);
  if (link.home !== "lab") whatIf.hidden = true;

  function press(event, what) {
    if (event.currentTarget.getAttribute("aria-disabled") !== "true") link.send({ do: what });
  }

  function showArtifact(artifact) {
    const known = Boolean(artifact.name);
    facts.hidden = files.hidden = !known;
    if (known) {
      showFacts(artifact, link.get("metrics"));
      showFiles(artifact);
    }
    showState(link.get("flow"));
  }

  function showFacts(artifact, metrics) {
    const rows = [
      ["model", `${artifact.name} ${artifact.version} · ${artifact.digest}`],
      ["engine", `${artifact.engine} · ${artifact.form}`],
      ["precision", artifact.precision],
      ["device", artifact.device],
      ["threads", say("threads_value", artifact)],
      ["input", artifact.input],
      ["preprocessing", say("preprocessing_value", artifact.preprocessing)],
      ["normalisation", say("normalisation_value", artifact.normalisation)],
      ["environment", artifact.matches ? `✓ ${say("matches")}` : say("differs", artifact)],
      ["start_times", say("start_times_value", {
        load: artifact.startup_ms.load, warm: artifact.startup_ms["warm-up"],
      })],
    ];
    const flow = link.get("flow");
    if (flow.first_s) {
      rows.push(["first_prediction", say("first_prediction_value", {
        first: flow.first_s, ready: flow.ready_s,
      })]);
    }
    if (metrics.answered !== undefined) {
      rows.push(["requests", say("requests_value", metrics)], ["memory", `${metrics.memory_mb} MB`]);
      if (metrics.p50_ms) {
        rows.push(["service_latency", say("service_latency_value", {
          p50: ms(metrics.p50_ms), p99: metrics.p99_ms ? ms(metrics.p99_ms) : "–",
        })]);
      }
    }
    while (facts.children.length > 2 * rows.length) facts.lastChild.remove();
    rows.forEach(([name, value], index) => {
      const term = facts.children[2 * index] ?? facts.appendChild(el("dt"));
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
    const known = Boolean(link.get("artifact").name);
    const measured = Object.values(link.get("latencies")).some((values) => values.length);
    const naive = flow.mode !== "start-up";
    before.hidden = known || measured || serving;
    silent.hidden = known || !naive || !(measured || serving);
    latencyPlot.hidden = !(known || measured || serving);
    const ready = serving && !flow.busy;
    const able = { tamper: !flow.busy, kill: ready, more: ready };
    for (const button of buttons) {
      button.setAttribute("aria-disabled", String(!able[button.dataset.do]));
    }
  }

  link.on("artifact", showArtifact);
  link.on("metrics", (metrics) => {
    if (link.get("artifact").name) showFacts(link.get("artifact"), metrics);
  });
  link.on("flow", showState);
  link.on("latencies", () => showState(link.get("flow")));
  showArtifact(link.get("artifact"));
  return el("section", { class: "pane inspector", "aria-label": "ARTIFACT INSPECTOR" },
    el("header", {}, el("span", { class: "file", lang: "en" }, "ARTIFACT INSPECTOR"), live),
    el("div", { class: "body" }, before, silent, latencyPlot, whatIf, facts, files));
}
