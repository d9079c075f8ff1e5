"""Record a real run for places without a kernel: `python -m notebooks.panel.record`."""

import json
import sys
import threading
import time
from datetime import date
from typing import Any

from notebooks.panel.conductor import Conductor
from notebooks.panel.fallback import RECORDING
from notebooks.panel.services import ALL, MODES, SERVICES
from notebooks.panel.state import EVERY_S
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.console.flow import Flow

SECONDS = 120


def main() -> None:
    """Run all three services in turn, try every sample photo, write what was shown."""
    shown: list[tuple[float, str, Any]] = []
    news = threading.Condition()

    def show(name: str, value: Any) -> None:
        with news:
            shown.append((time.monotonic(), name, value))
            news.notify_all()

    def wait_for(name: str, holds: Any) -> Any:
        def found() -> Any:
            return next((v for _at, n, v in reversed(shown) if n == name and holds(v)), None)

        with news:
            if not news.wait_for(found, SECONDS):
                raise TimeoutError(f"no {name} as expected within {SECONDS} s")
            return found()

    conductor = Conductor(show)
    try:
        begun = time.monotonic()
        conductor.simulate(ALL)
        # Verdicts have a kind; the last service runs on.
        flow = wait_for("flow", lambda f: f["mode"] == MODES[-1] and not f["busy"] and _said(f))
        if flow["sentence"]["key"] != "met":
            sys.exit(f"error: a busy machine, not recorded: {flow['sentence']}. Try again later")
        time.sleep(2 * max(EVERY_S.values()))  # what is shown less often comes after
        ended = time.monotonic()
        trials = {}
        for photo in SAMPLE_PHOTOS:
            conductor.sample(photo.name)
            name = photo.name
            trials[name] = wait_for("trial", lambda t, name=name: t.get("name") == name)
    finally:
        conductor.close()
    record = {
        "date": date.today().isoformat(),
        "idle_steps": Flow(SERVICES[MODES[0]].steps).snapshot()["steps"],
        "trials": trials,
        "events": [
            [round((at - begun) * 1000), *event]
            for at, *event in _differences(shown)
            if at <= ended and event[0] != "trial"
        ],
    }
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    RECORDING.write_text(text.replace("],[", "],\n[") + "\n", encoding="utf-8")
    print(f"{RECORDING}: {len(record['events'])} events, {RECORDING.stat().st_size / 1000:.0f} kB")


def _said(flow: dict[str, Any]) -> bool:
    return bool(flow["sentence"] and flow["sentence"]["kind"])


def _differences(shown: list[tuple[float, str, Any]]) -> list[tuple[float, str, Any]]:
    """What is new: lines without the whole log, new latencies instead of all."""
    counts: dict[str, int] = {}
    found: list[tuple[float, str, Any]] = []
    for at, name, value in shown:
        if name == "log":
            continue
        if name == "latencies":
            for mode, own in value.items():
                if new := own[counts.get(mode, 0) :]:
                    found.append((at, "answered", [mode, *new]))
                counts[mode] = len(own)
        else:
            found.append((at, name, value))
    return found


if __name__ == "__main__":
    main()
