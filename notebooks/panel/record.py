"""Record a run for places without a kernel: `python -m notebooks.panel.record`."""

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
    """Run all three services in turn, try every sample photo, and store what was shown."""
    shown: list[tuple[float, str, Any]] = []
    news = threading.Condition()

    def show(name: str, value: Any) -> None:
        with news:
            shown.append((time.monotonic(), name, value))
            news.notify_all()

    def wait_for(name: str, holds: Any) -> Any:
        def find() -> Any:
            return next((v for _at, n, v in reversed(shown) if n == name and holds(v)), None)

        with news:
            if not news.wait_for(find, SECONDS):
                raise TimeoutError(f"no {name} as expected within {SECONDS} s")
            return find()

    conductor = Conductor(show)
    try:
        begun = time.monotonic()
        conductor.simulate(ALL)
        # A flow ends with a verdict, a sentence with a kind; the last service goes on running.
        flow = wait_for("flow", _is_over)
        if flow["sentence"]["key"] != "met":
            sys.exit(f"error: a busy machine, not recorded: {flow['sentence']}. Try again later")
        time.sleep(2 * max(EVERY_S.values()))  # wait for what is shown less often
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
            for at, *event in _select_news(shown)
            if at <= ended and event[0] != "trial"
        ],
    }
    text = json.dumps(record, ensure_ascii=False, separators=(",", ":"))
    RECORDING.write_text(text.replace("],[", "],\n[") + "\n", encoding="utf-8")
    print(f"{RECORDING}: {len(record['events'])} events, {RECORDING.stat().st_size / 1000:.0f} kB")


def _is_over(flow: dict[str, Any]) -> bool:
    said = flow["sentence"]
    return flow["mode"] == MODES[-1] and not flow["busy"] and bool(said and said["kind"])


def _select_news(shown: list[tuple[float, str, Any]]) -> list[tuple[float, str, Any]]:
    """Return the events without repetitions: no whole logs, and only the new latencies."""
    counts: dict[str, int] = {}
    news: list[tuple[float, str, Any]] = []
    for at, name, value in shown:
        if name == "log":
            continue
        if name == "latencies":
            for mode, own in value.items():
                if new := own[counts.get(mode, 0) :]:
                    news.append((at, "answered", [mode, *new]))
                counts[mode] = len(own)
        else:
            news.append((at, name, value))
    return news


if __name__ == "__main__":
    main()
