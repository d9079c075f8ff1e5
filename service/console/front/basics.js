// What all parts of the panel stand on: elements, texts, numbers, a small store.

/** An element: el("button", {class: "x", onclick: f}, "text", otherElement). */
export function el(name, attributes = {}, ...children) {
  const svg = ["svg", "line", "circle", "path", "text", "rect", "g"].includes(name);
  const node = svg
    ? document.createElementNS("http://www.w3.org/2000/svg", name)
    : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value === true) node.setAttribute(key, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

/** A function that gives a text by its name, with {placeholders} filled in. */
export function speaker(texts) {
  return (name, values = {}) =>
    (texts[name] ?? name).replace(/\{(\w+)\}/g, (all, key) => values[key] ?? all);
}

/** Milliseconds as people read them: 0.8, 7.2, 48, 1 240. */
export function ms(value) {
  if (value === null || value === undefined) return "–";
  return value < 10 ? value.toFixed(1) : String(Math.round(value));
}

/** A duration with its unit: 7.2 ms, 1.24 s. */
export function duration(value) {
  if (value === null || value === undefined || value < 0.05) return "";
  return value < 1000 ? `${ms(value)} ms` : `${(value / 1000).toFixed(2)} s`;
}

/** The value that a share of all is not above (nearest rank). */
export function quantile(values, share) {
  if (!values.length) return null;
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
}

/** Values by name that tell when they change. */
export class Store {
  #values;
  #listeners = new Map();

  constructor(values = {}) {
    this.#values = { ...values };
  }

  get(name) {
    return this.#values[name];
  }

  set(name, value) {
    this.#values[name] = value;
    for (const listener of this.#listeners.get(name) ?? []) listener(value);
  }

  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
  }
}

/** What a panel shows before anything has happened. */
export function emptyState() {
  return {
    flow: { phase: "idle", busy: false, lit: null, mode: "start-up", steps: [], alive: false },
    log: [],
    lines: [],
    artifact: {},
    metrics: {},
    latencies: {},
    trial: {},
  };
}

/** Never let `node` become lower again at the same width: what stands below it would jump. */
export function keepRoom(node) {
  let width = 0;
  const keep = () => {
    if (node.offsetWidth !== width) node.style.minHeight = "";
    width = node.offsetWidth;
    node.style.minHeight = `${node.getBoundingClientRect().height}px`;
  };
  // In a frame of its own: an observer must not resize what it observes.
  new ResizeObserver(() => requestAnimationFrame(keep)).observe(node);
  return node;
}

/**
 * Keys pressed in `root` are not JupyterLab's, where single letters insert and delete cells; but
 * those with Ctrl or Cmd are, so that a notebook can be saved from here. JupyterLab looks at the
 * focused element first: what is said of its parents does not count for that.
 */
export function keepKeys(root) {
  const keep = (event) => event.target.toggleAttribute(
    "data-lm-suppress-shortcuts", !(event.ctrlKey || event.metaKey),
  );
  for (const when of ["focusin", "keydown", "keyup"]) root.addEventListener(when, keep);
}

/** Keep `root[data-theme]` at what surrounds it: JupyterLab, VS Code, the system. */
export function followTheme(root) {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const update = () => {
    const { jpThemeLight, vscodeThemeKind } = document.body.dataset;
    let dark = system.matches;
    if (jpThemeLight) dark = jpThemeLight === "false";
    if (vscodeThemeKind) dark = /dark|high-contrast$/.test(vscodeThemeKind);
    root.dataset.theme = dark ? "dark" : "light";
  };
  const watcher = new MutationObserver(update);
  watcher.observe(document.body, { attributes: true });
  system.addEventListener("change", update);
  update();
  return () => {
    watcher.disconnect();
    system.removeEventListener("change", update);
  };
}
