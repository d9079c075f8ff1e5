import { el } from "./basics.js";

const MOST_LINES = 400; // on the screen; Python keeps no more either
const SPOKEN = ["step", "warning", "error", "panel"]; // kinds of lines that are read out
const MOST_SPOKEN = 12; // at most so many in so long: a start says ten
const SPOKEN_MS = 10_000;
const STAMP = /^[\dTZ:.-]+ +[A-Z]+ +/; // time and level; a voice need not read them

/**
 * The terminal: the real process's output as it comes.
 *
 * What it says is read out, but by a region of its own: one line for each of a hundred requests,
 * or a fault that repeats itself, would drown everything else.
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
  const spoken = []; // when
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

  function begin(lines, aloud = true) {
    if (!lines.length) {
      screen.replaceChildren(idle);
      last = 0;
    }
    append(lines, aloud);
  }

  function append(lines, aloud = true) {
    const atEnd = screen.scrollHeight - screen.scrollTop - screen.clientHeight < 40;
    const news = lines.filter((line) => line.n > last);
    if (news.length && idle.isConnected) idle.remove();
    for (const line of news) {
      const text = line.key ? `# ${say(line.key, line.values)}` : line.text;
      // How late a line is here can be measured: see tests/notebooks/panel.
      screen.append(el("div", { class: `line ${line.kind}`, "data-shown": Date.now() }, text));
    }
    if (aloud) news.forEach(speak);
    while (screen.children.length > MOST_LINES) screen.firstChild.remove();
    last = Math.max(last, lines.at(-1)?.n ?? 0);
    if (atEnd) screen.scrollTop = screen.scrollHeight; // whoever has scrolled up reads on
  }

  function speak(line) {
    // The command is on the screen, and some sentences stand under the button, which is read out.
    if (!SPOKEN.includes(line.kind) || line.said || (line.kind === "panel" && !line.key)) return;
    while (spoken[0] < Date.now() - SPOKEN_MS) spoken.shift();
    if (spoken.length >= MOST_SPOKEN) return;
    spoken.push(Date.now());
    voice.append(line.key
      ? el("p", {}, say(line.key, line.values))
      : el("p", { lang: "en" }, line.text.replace(STAMP, "")));
    while (voice.children.length > MOST_SPOKEN) voice.firstChild.remove();
  }

  link.on("log", begin); // all of it: for a view that comes later
  link.on("lines", append); // what is new
  begin(link.get("log"), false);
  return el(
    "section", { class: "pane terminal", "aria-label": say("terminal") },
    el("header", {}, el("span", { class: "file", lang: "en", translate: "no" }, name), note, copy),
    screen, voice,
  );
}
