import { el, followTheme, keepKeys, keepRoom, speaker } from "./basics.js";
import { codePane } from "./code_pane.js";
import { controls } from "./controls.js";
import { inspector } from "./inspector.js";
import { terminal } from "./terminal.js";
import { trial } from "./trial.js";

/**
 * Put a panel into `place`.
 *
 * `link` is what it shows and whom it tells: `home` ("lab", "console", "recording"), `get(name)`,
 * `on(name, listener)`, `send(message, bytes)`. Returns a function that takes the panel away.
 */
export function mountPanel(place, link) {
  const say = speaker(link.get("texts"));
  const banner = link.get("banner");
  const root = el("div", {
    class: "workshop-panel", role: "region", "aria-label": say("panel"), "data-home": link.home,
    lang: link.get("language") ?? "en",
  });
  root.append(
    banner ? el("p", { class: "banner" }, say(banner.key, banner.values)) : "",
    keepRoom(controls(link, say)),
    el("div", { class: "panes" },
      codePane(link, say), terminal(link, say), inspector(link, say), trial(link, say)),
  );
  keepKeys(root);
  const stopFollowing = followTheme(root);
  place.append(root);
  return () => {
    stopFollowing();
    root.remove();
  };
}
