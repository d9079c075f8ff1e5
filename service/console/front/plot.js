import { el, ms, quantile } from "./basics.js";

export const TARGET_MS = 50;
const WIDTH = 460;
const HEIGHT = 170;
const LEFT = 44;
const TOP = 8;
const BOTTOM = 24;
const TICKS = [1, 5, 10, 50, 100, 500, 1000, 5000];

/** The latency of each photo as a dot, on a logarithmic scale, against the line at 50 ms. */
export function plot(link, say) {
  const picture = el("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img" });
  const legend = el("ul", { class: "legend" });
  const figure = el("figure", { class: "plot" },
    el("figcaption", {}, say("latency")), picture, legend);

  function update(latencies) {
    const series = Object.entries(latencies).filter(([, values]) => values.length);
    const all = series.flatMap(([, values]) => values);
    const low = Math.min(4, ...all) * 0.8;
    const high = Math.max(100, ...all) * 1.2;
    const most = Math.max(20, ...series.map(([, values]) => values.length));
    const x = (index) => LEFT + 6 + (index / most) * (WIDTH - LEFT - 14);
    const y = (value) =>
      TOP + (Math.log(high / value) / Math.log(high / low)) * (HEIGHT - TOP - BOTTOM);
    const parts = TICKS.filter((tick) => tick > low && tick < high && tick !== TARGET_MS).flatMap(
      (tick) => [
        el("line", { class: "grid", x1: LEFT, x2: WIDTH, y1: y(tick), y2: y(tick) }),
        el("text", { x: LEFT - 5, y: y(tick) + 4, "text-anchor": "end" }, String(tick)),
      ],
    );
    parts.push(
      el("line", { class: "target", x1: LEFT, x2: WIDTH, y1: y(TARGET_MS), y2: y(TARGET_MS) }),
      el("text", { class: "target", x: LEFT - 5, y: y(TARGET_MS) + 4, "text-anchor": "end" }, "50"),
      el("text", { x: LEFT - 5, y: HEIGHT - 6, "text-anchor": "end" }, "ms"),
      el("text", { x: WIDTH, y: HEIGHT - 6, "text-anchor": "end" }, say("photos_axis")),
    );
    for (const [mode, values] of series) {
      values.forEach((value, index) => parts.push(dot(mode, x(index), y(value))));
    }
    picture.replaceChildren(...parts);
    const sentences = series.map(([mode, values]) => say("series", {
      name: say(mode), n: values.length, p50: ms(quantile(values, 0.5)),
      p99: ms(quantile(values, 0.99)),
    }));
    const none = say("no_latency");
    const alt = say("latency_alt", { target: TARGET_MS, series: sentences.join(" ") || none });
    picture.setAttribute("aria-label", alt);
    legend.replaceChildren(
      ...series.map(([mode], index) => el("li", {}, key(mode), sentences[index])),
      series.length ? "" : el("li", {}, none),
      el("li", {}, key("target"), say("target", { target: TARGET_MS })),
    );
  }

  link.on("latencies", update);
  update(link.get("latencies"));
  return figure;
}

/** A mark that differs in shape too, for those who see no difference in colour. */
function dot(mode, x, y) {
  const shape = {
    "every-request": `M${x - 3.5} ${y - 3.5}l7 7m0 -7l-7 7`,
    "first-request": `M${x} ${y - 4}l4 7h-8z`,
  }[mode];
  return shape
    ? el("path", { class: `dot ${mode}`, d: shape })
    : el("circle", { class: `dot ${mode}`, cx: x, cy: y, r: 2.8 });
}

function key(mode) {
  const mark = mode === "target"
    ? el("line", { class: "target", x1: 0, x2: 16, y1: 7, y2: 7 })
    : dot(mode, 8, 7);
  return el("svg", { class: "key", viewBox: "0 0 16 14", "aria-hidden": "true" }, mark);
}
