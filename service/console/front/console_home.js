import { emptyState, quantile, Store } from "./basics.js";
import { mountPanel } from "./panel.js";
import { Player } from "./player.js";
import { TARGET_MS } from "./plot.js";

const POLL_MS = 1000;
const PHOTOS = 100;
const PAUSE_MS = 15;
const MOST_LATENCIES = 200;

/** The home on a page that the service itself serves: it shows the service that serves it. */
export async function openConsole(place) {
  const page = await (await fetch(`console/page.json${location.search}`)).json();
  document.documentElement.lang = page.language;
  const store = new Store({ ...emptyState(), ...page, banner: { key: "console" } });
  store.set("flow", { ...emptyState().flow, steps: page.idle_steps });
  const player = new Player(store, page.start);
  let seen = 0;
  let following = false;

  const flow = (changes) => store.set("flow", { ...store.get("flow"), ...changes });
  const link = {
    home: "console",
    get: (name) => store.get(name),
    on: (name, listener) => store.on(name, listener),
    send(message, bytes) {
      if (message.do === "simulate") player.play(started);
      if (message.do === "sample") trySample(message.name);
      if (message.do === "predict") tryPhoto(message.name, bytes);
    },
  };

  async function started() {
    following = true;
    await look();
    const photos = await Promise.all(page.samples.map(async ({ picture }) =>
      (await fetch(picture)).arrayBuffer()));
    const begun = performance.now();
    try {
      for (let n = 0; n < PHOTOS; n += 1) {
        await send(photos[n % photos.length]);
        await new Promise((resolve) => setTimeout(resolve, PAUSE_MS)); // time to show it
      }
    } catch {
      return gone();
    }
    const own = store.get("latencies")["start-up"];
    const [p50, p99] = [quantile(own, 0.5), quantile(own, 0.99)].map(Math.round);
    const met = p99 <= TARGET_MS;
    const steps = store.get("flow").steps.map((step) => step.id === "photos"
      ? { ...step, state: "done", ms: performance.now() - begun } : step);
    flow({
      busy: false, lit: null, steps,
      sentence: {
        key: met ? "met" : "missed", kind: met ? "good" : "bad",
        values: { n: own.length, p50, p99, target: TARGET_MS },
      },
    });
  }

  /** Send a photo; its answer, and how long it took. Throws when nobody answers. */
  async function send(bytes) {
    const begun = performance.now();
    const response = await fetch("predict", { method: "POST", body: bytes });
    const answer = await response.json();
    const took = performance.now() - begun;
    if (response.ok) {
      const latencies = store.get("latencies");
      const own = [...(latencies["start-up"] ?? []), took].slice(-MOST_LATENCIES);
      store.set("latencies", { ...latencies, "start-up": own });
    }
    return { ...answer, total_ms: took };
  }

  async function tryPhoto(name, bytes) {
    try {
      const answer = await send(bytes);
      store.set("trial", answer.error
        ? { key: "try_bad", values: { name, reason: answer.error } } : { ...answer, name });
    } catch {
      store.set("trial", { key: "try_lost" });
    }
  }

  async function trySample(name) {
    const sample = page.samples.find((one) => one.name === name);
    await tryPhoto(name, await (await fetch(sample.picture)).arrayBuffer());
  }

  function gone() {
    flow({ busy: false, lit: null, phase: "stopped", sentence: { key: "service_gone", kind: "bad" } });
  }

  async function look() {
    try {
      const state = await (await fetch(`console/state?after=${seen}`)).json();
      store.set("metrics", state.metrics);
      if (following && state.lines.length) {
        store.set("lines", state.lines);
        seen = state.lines.at(-1).n;
      }
      const { sentence } = store.get("flow");
      if (sentence?.key === "service_gone") flow({ phase: "serving", sentence: null });
    } catch {
      gone();
    }
  }

  seen = page.last_line;
  mountPanel(place, link);
  setInterval(() => { if (following) look(); }, POLL_MS);
}
