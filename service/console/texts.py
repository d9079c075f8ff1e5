"""Every text of the panel: `texts(_)` returns them, each translated by `_`.

The service hands them to its console in English, or as the generated files translations/ja.json
and translations/id.json have them; the notebook hands them to its panel through its own catalogue,
which is where those files come from. Names in braces are filled in by the front end.

The labels of the lecture's own panel (its button, its pane titles) are not here: they are the same
in every language and stand in the front end.
"""

import json
from collections.abc import Callable
from pathlib import Path

TRANSLATIONS = Path(__file__).with_name("translations")


def english(text: str) -> str:
    """Return `text` unchanged: the translation into English."""
    return text


def texts_in(language: str) -> dict[str, str]:
    """Return the texts in a language of translations/; untranslated ones are in English."""
    path = TRANSLATIONS / f"{language}.json"
    found = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    return {name: found.get(name, text) for name, text in texts(english).items()}


def texts(_: Callable[[str], str]) -> dict[str, str]:
    """Return all texts of the panel by name, each passed through `_`."""
    return {
        # Names of regions and controls
        "panel": _("Deployment panel"),
        "code": _("Source code"),
        "code_hash": _("SHA-256 of the file that runs: {hash}"),
        "terminal": _("Output of the service"),
        "copy": _("Copy output"),
        "copied": _("Copied."),
        "copy_failed": _("The browser did not allow it. Select the text and copy it."),
        "stop": _("Stop"),
        "when": _("When are the weights loaded?"),
        "every-request": _("at every request"),
        "first-request": _("at the first request"),
        "start-up": _("once, at start-up"),
        "all": _("all three, in turn"),
        "progress": _("Progress"),
        # Steps
        "step_start": _("start process"),
        "step_verify": _("verify artifact"),
        "step_match": _("match environment"),
        "step_load": _("load once"),
        "step_warm-up": _("warm up"),
        "step_replay": _("replay golden photos"),
        "step_ready": _("ready"),
        "step_photos": _("real photos"),
        "step_stop": _("stop"),
        "state_waiting": _("not yet"),
        "state_running": _("under way"),
        "state_done": _("done"),
        "state_failed": _("failed"),
        # What happened, what to do
        "starting": _("The service starts in a process of its own."),
        "photos": _("The service is ready. It gets real photos, one after another."),
        "met": _(
            "Target met. {n} photos: half were answered within {p50} ms, 99 of 100 within {p99} ms "
            "(target {target} ms). The service runs on: now try a photo."
        ),
        "missed": _(
            "Target missed. {n} photos: half were answered within {p50} ms, 99 of 100 within "
            "{p99} ms (target {target} ms). If other programs are busy here, run it again."
        ),
        "missed_busy": _(
            "Target missed. {n} photos: half were answered within {p50} ms, 99 of 100 within "
            "{p99} ms (target {target} ms). Meanwhile other programs used {share} % of this "
            "machine's processors. Close what you can, then run it again."
        ),
        "missed_every": _(
            "Target missed. Every request loads the weights first: half of {n} photos took longer "
            "than {p50} ms (target {target} ms). Now choose “once, at start-up”."
        ),
        "missed_first": _(
            "The first user waited {first} ms for the weights to load (target {target} ms). Half "
            "of the {n} photos after that were answered within {p50} ms."
        ),
        "making_way": _(
            "The service that runs is asked to stop first. Then the next one can start."
        ),
        "none_runs": _("No service runs now. The button starts one."),
        "stopping": _("The service was asked to stop. It finishes what it has begun."),
        "stopped": _("The service has stopped. Its process, port and files are gone."),
        "unwatched": _(
            "The service was stopped, because no page showed this panel any more. "
            "Press the button to run it again."
        ),
        "refused": _(
            "The service refused to start, and says why: {reason} Mend that, then press the "
            "button again."
        ),
        "no_artifact": _(
            "There is no artifact at {path}. Build it in a terminal (make serve does), then "
            "press the button again."
        ),
        "port_taken": _(
            "Port {port} is used by another program. Stop that program, or make the panel "
            "without a port, so that it takes a free one. Then press the button again."
        ),
        "killed_starting": _(
            "The service ended while it was starting (exit status {status}). Nothing of it is "
            "left. Press the button to start it again."
        ),
        "keeps_dying": _(
            "The service has ended {n} times in a row, so it is not started again. Read the last "
            "lines of its output, then press the button."
        ),
        "not_started": _("The service could not be started: {reason}. Press the button again."),
        "too_slow": _(
            "The service was not ready within {seconds} s, and was stopped. The machine may be "
            "busy: close other programs, then press the button again."
        ),
        "copying": _("The artifact is copied to a temporary folder, and one bit of it flipped."),
        "tampered": _(
            "One bit of {file} was flipped, in a copy. The service starts with that copy: will "
            "it notice?"
        ),
        "caught": _(
            "Refused, as it must be: one bit of {file} was different. It was noticed before the "
            "file was opened. The copy is deleted; the real artifact is untouched."
        ),
        "not_caught": _("The damaged copy was accepted. That is a fault: please report it."),
        "killed": _("The process is dead (exit status {status}). Its supervisor starts it again."),
        "back": _(
            "Back: the service answers again {seconds} s after it died. No state was lost, because "
            "it keeps nothing: that is what stateless means."
        ),
        "kernel_silent": _(
            "The kernel does not answer. If it is busy with another cell, the panel goes on when "
            "that is done. If it was restarted or has ended, run the cell of this panel again."
        ),
        "milestone": _(
            "From the start of the flow to the first prediction: {first} s. "
            "From the start of the process until it was ready: {ready} s."
        ),
        "shared": _(
            "Another panel runs a service at the same time. Both share this machine, so the "
            "times are longer than they would be."
        ),
        "recording": _(
            "This is a recording of a real run, made on {date}. For a run of your own, start the "
            "kernel and run the cell of this panel."
        ),
        "console": _(
            "This page is served by the service that it shows. The button replays the start of "
            "this process from its own log, then sends it real photos."
        ),
        "service_gone": _("The service does not answer. Start it again, then reload this page."),
        # Inspector
        "model": _("Model"),
        "engine": _("Engine"),
        "precision": _("Precision"),
        "device": _("Device"),
        "threads": _("Threads"),
        "threads_value": _("{lanes} × {threads}"),
        "input": _("Input"),
        "preprocessing": _("Preprocessing"),
        "preprocessing_value": _("resize to {resize}, {interpolation}; crop to {crop}"),
        "normalisation": _("Normalisation"),
        "normalisation_value": _("(pixel - {mean}) / {std}, inside the graph"),
        "environment": _("Environment"),
        "matches": _("as validated"),
        "differs": _("differs: {differences}"),
        "start_times": _("Start-up"),
        "start_times_value": _("load {load} ms, warm-up {warm} ms"),
        "first_prediction": _("First prediction"),
        "first_prediction_value": _(
            "{first} s after the start of the flow (process to ready: {ready} s)"
        ),
        "requests": _("Requests"),
        "requests_value": _("{answered} answered, {failed} failed, {refused} refused"),
        "memory": _("Memory"),
        "service_latency": _("Inside the service"),
        "service_latency_value": _("half within {p50} ms, 99 of 100 within {p99} ms"),
        "files": _("Files, every hash verified"),
        "file": _("file"),
        "size": _("size"),
        "hash": _("SHA-256"),
        "verified": _("verified"),
        "loaded_file": _("loaded"),
        "no_artifact_route": _(
            "This service was written to be simple: it says nothing about what it has loaded. "
            "What can be seen from outside is how long it takes."
        ),
        "latency": _("Latency of each photo"),
        "latency_alt": _(
            "Latency of each photo in milliseconds, with a line at the target of {target} ms. "
            "{series}"
        ),
        "series": _("{name}: {n} photos, half within {p50} ms, 99 of 100 within {p99} ms."),
        "target": _("target {target} ms"),
        "no_latency": _("No photo has been sent yet."),
        "photos_axis": _("photos, in order"),
        "tamper_head": _("What if …"),
        "tamper": _("Flip a bit in a copy of the artifact"),
        "kill": _("Kill the process"),
        "more": _("Send photos again"),
        # Try it
        "try": _("Try it"),
        "try_hint": _("Drop a photo here, or choose a file."),
        "choose": _("Choose a photo"),
        "sample": _("Sample photo: {name}"),
        "samples": _("Sample photos"),
        "try_first": _("The service does not run. Start it with the button above, then try again."),
        "try_wait": _("Waiting for the answer."),
        "try_large": _("{name} has more than {most} MB. Choose a smaller photo."),
        "try_bad": _(
            "The service did not take {name}: {reason}. Choose a JPEG, PNG or WebP photo."
        ),
        "try_lost": _(
            "The service went away before it answered. Start it with the button, then try again."
        ),
        "predictions": _("The five most probable classes of {name}"),
        "photo": _("The photo {name}"),
        "credit": _("Photo: {credit}, {licence}"),
        "where": _("Where {total} ms went"),
        "part_preprocess": _("preprocess"),
        "part_queue": _("queue"),
        "part_load": _("load weights"),
        "part_forward": _("forward pass"),
        "part_rest": _("the rest"),
    }
