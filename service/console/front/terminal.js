import { el } from "./basics.js";

const MOST_LINES = 400; // on the screen; Python keeps no more either

/**
 * The terminal: the real process's output as it comes.
 *
 * What it says is read out, but by a region of its own: one line for each of a hundred requests
 * would drown everything else.
 */
export function terminal(link, say) {
  const name = "bash — uvicorn-service";
  const idle = el(
    "div", { class: "line quiet", lang: "en" }, '> Ready. Click "Simulate Deployment Flow" to run.',
  );
  const screen = el("div", {
    class: "screen", role: "log", "aria-live": "off", "aria-label": `${say("terminal")}: ${name}`,
    tabindex: 0, translate: "no",
  }, idle);
  const voice = el("div", { class: "hidden", "aria-live": "polite" });
  const note = el("span", { class: "note", role: "status" });
  const copy = el("button", { type: "button", class: "small", onclick: copyAll }, say("copy"));
  let last = 0;

  async function copyAll() {
    try {
      await navigator.clipboard.writeText(
        [...screen.children].map((line) => line.textContent).join("\n"),
      );
      note.textContent = say("copied");
    } catch {
      note.textContent = say("copy_failed");
    }
    setTimeout(() => { note.textContent = ""; }, 4000);
  }

  function begin(lines) {
    if (!lines.length) {
      screen.replaceChildren(idle);
      last = 0;
    }
    append(lines);
  }

  function append(lines) {
    const atEnd = screen.scrollHeight - screen.scrollTop - screen.clientHeight < 40;
    const news = lines.filter((line) => line.n > last);
    if (news.length && idle.isConnected) idle.remove();
    for (const line of news) {
      const text = line.key ? `# ${say(line.key, line.values)}` : line.text;
      // How late a line is here can be measured: see tests/panel.
      screen.append(el("div", { class: `line ${line.kind}`, "data-shown": Date.now() }, text));
    }
    for (const line of news.filter(({ kind }) => kind !== "request" && kind !== "quiet")) {
      voice.append(el("p", {}, line.key ? say(line.key, line.values) : line.text));
    }
    while (voice.children.length > 5) voice.firstChild.remove();
    while (screen.children.length > MOST_LINES) screen.firstChild.remove();
    last = Math.max(last, lines.at(-1)?.n ?? 0);
    if (atEnd) screen.scrollTop = screen.scrollHeight; // whoever has scrolled up reads on
  }

  link.on("log", begin); // all of it: for a view that comes later
  link.on("lines", append); // what is new
  begin(link.get("log"));
  return el(
    "section", { class: "pane terminal", "aria-label": say("terminal") },
    el("header", {}, el("span", { class: "file", lang: "en", translate: "no" }, name), note, copy),
    screen, voice,
  );
}
