// The home of a recording: a static page, a notebook that is reopened, no kernel.

const WAIT_FOR_LIVE_MS = 3000;

function playRecording(place, values) {
  // In a notebook the live panel is the next output of the same cell. Where it comes up, the
  // recording is not needed; where it does not, what stands there instead would only confuse.
  const inNotebook = Boolean(document.querySelector(".jp-NotebookPanel"))
    || "vscodeThemeKind" in document.body.dataset;
  const cell = (inNotebook && place.closest(".jp-Cell, .cell_container")) || document.body;
  const live = () => Boolean(cell.querySelector('.workshop-panel[data-home="lab"]'));
  const transcript = place.querySelector(".workshop-transcript");
  let mounted = false;

  function mount() {
    if (live()) return;
    for (const output of cell.querySelectorAll(".jp-OutputArea-child")) {
      const lost = /model not found|Loading widget/.test(output.textContent);
      if (lost && !output.contains(place)) output.style.display = "none";
    }
    mounted = true;
    place.hidden = false;
    transcript.hidden = true;
    mountPanel(place, recordedLink(values));
  }

  if (!inNotebook) {
    mount();
    return;
  }
  place.hidden = true;
  new MutationObserver(() => { place.hidden = !mounted || live(); })
    .observe(cell, { childList: true, subtree: true });
  setTimeout(mount, WAIT_FOR_LIVE_MS);
}
