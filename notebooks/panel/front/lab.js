// The home in a notebook: the panel's link is the widget's model in the kernel.

const HEARTBEAT_MS = 5000;
const SILENT_MS = 2500; // a question that is not answered by then finds a busy kernel, or none

function modelLink(model) {
  const view = Math.random().toString(36).slice(2);
  const listeners = new Map();
  let count = 0;
  let silent = false;
  let waiting = null;

  function tell(name) {
    for (const listener of listeners.get(name) ?? []) listener(link.get(name));
  }

  function hush(now) {
    if (silent === now) return;
    silent = now;
    tell("flow");
  }

  function send(message, bytes) {
    count += 1;
    try {
      model.send({ ...message, view, id: count }, undefined, bytes ? [bytes] : []);
    } catch {
      hush(true);
    }
    waiting ??= setTimeout(() => hush(true), SILENT_MS);
  }

  function heard(message) {
    if (message?.heard === undefined) return;
    clearTimeout(waiting);
    waiting = null;
    hush(false);
  }

  const link = {
    home: "lab",
    get(name) {
      const value = model.get(name);
      if (name !== "flow" || !silent) return value;
      return {
        ...value, busy: false, alive: false, phase: "stopped",
        sentence: { key: "kernel_silent", kind: "bad" },
      };
    },
    on(name, listener) {
      if (!listeners.has(name)) {
        listeners.set(name, new Set());
        model.on(`change:${name}`, () => tell(name));
      }
      listeners.get(name).add(listener);
    },
    send,
  };
  model.on("msg:custom", heard);
  // Browsers slow hidden pages down, so the kernel waits longer for those.
  const beat = () => send({ do: "here", hidden: document.hidden });
  const timer = setInterval(beat, HEARTBEAT_MS);
  document.addEventListener("visibilitychange", beat);
  beat();

  function goodbye() {
    clearInterval(timer);
    clearTimeout(waiting);
    document.removeEventListener("visibilitychange", beat);
    model.off("msg:custom", heard);
    try {
      model.send({ do: "goodbye", view });
    } catch {
      // The kernel is gone, and with it the service.
    }
  }
  addEventListener("pagehide", goodbye);
  return [link, () => {
    removeEventListener("pagehide", goodbye);
    goodbye();
  }];
}

function render({ model, el: place }) {
  const [link, goodbye] = modelLink(model);
  const takeAway = mountPanel(place, link);
  return () => {
    takeAway();
    goodbye();
  };
}

export default { render };
