import { Store, emptyState } from "./basics.js";

/** Plays what was recorded: [milliseconds, name, value] one after another, at their own pace. */
export class Player {
  #timer = null;

  constructor(store, events) {
    this.store = store;
    this.events = events;
  }

  play(then = () => {}) {
    clearTimeout(this.#timer);
    for (const [name, value] of Object.entries(emptyState())) {
      this.store.set(name, name === "flow" ? { ...value, busy: true } : value);
    }
    const begun = performance.now();
    let next = 0;
    const step = () => {
      while (next < this.events.length && this.events[next][0] <= performance.now() - begun) {
        const [, name, value] = this.events[next];
        next += 1;
        if (name === "answered") {
          const latencies = this.store.get("latencies");
          const [mode, ...values] = value;
          this.store.set("latencies", {
            ...latencies, [mode]: [...(latencies[mode] ?? []), ...values],
          });
        } else this.store.set(name, value);
      }
      if (next >= this.events.length) then();
      else this.#timer = setTimeout(step, Math.max(10, this.events[next][0] + begun - performance.now()));
    };
    step();
  }
}

/** The link of a panel that plays a recording. */
export function recordedLink({ recording, ...values }) {
  const store = new Store({ ...emptyState(), ...values });
  store.set("flow", { ...emptyState().flow, steps: recording.idle_steps });
  const player = new Player(store, recording.events);
  return {
    home: "recording",
    get: (name) => store.get(name),
    on: (name, listener) => store.on(name, listener),
    send(message) {
      if (message.do === "simulate") player.play();
      if (message.do === "sample") store.set("trial", recording.trials[message.name]);
    },
  };
}
