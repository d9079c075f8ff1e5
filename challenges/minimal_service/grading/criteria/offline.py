"""Runs a service without network: in a network namespace, or with its connections refused."""

import functools
import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from challenges.minimal_service.grading.submission.running import (
    READY_SECONDS,
    Predictions,
    RunningService,
    free_port,
    read_predictions,
)
from challenges.minimal_service.grading.submission.submission import Submission
from learner.paths import ROOT

RUN_PROBE = (
    f"import sys; sys.path.insert(0, {str(ROOT)!r}); "
    f"from {__package__}.offline_probe import main; main()"
)
REFUSAL = Path(__file__).with_name("no_network")
DEAD_PROXY = "http://127.0.0.1:9"
"""For programs that are not Python; nobody listens there."""


@dataclass(frozen=True, slots=True)
class Offline:
    """What a service did without network."""

    how: Literal["namespace", "refused"]
    """"refused": only the connections of Python were refused."""
    hidden: bool
    """The folders to hide were empty for it."""
    ready: bool
    answers: list[Predictions | None]
    status: int | None
    """Exit status, if it ended by itself."""
    last_words: str


@functools.cache
def find_namespace() -> tuple[str, ...]:
    """Return the command that gives a program its own namespaces; () if that is not permitted."""
    unshare = shutil.which("unshare")
    if unshare is None or sys.platform != "linux":
        return ()
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    command = (unshare, *user, "--net", "--mount")
    try:
        tried = subprocess.run([*command, "true"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return command if tried.returncode == 0 else ()


def run_offline(
    submission: Submission, photos: list[bytes], hide: list[Path], seconds: float = READY_SECONDS
) -> Offline:
    """Start the submission without network, send it photos, end it.

    Args:
        submission: what to start.
        photos: image files, sent one after another.
        hide: folders to be empty for it, where namespaces are permitted.
        seconds: for it to get ready.
    """
    separate = find_namespace()
    with tempfile.TemporaryDirectory(prefix="offline-", dir=submission.folder.parent) as name:
        folder = Path(name)
        (folder / "photos").mkdir()
        for number, photo in enumerate(photos):
            (folder / "photos" / f"{number:03d}").write_bytes(photo)
        result, port = folder / "result.json", free_port()
        needed = (folder, Path(sys.prefix), Path(__file__))
        hide = [path for path in hide if not any(one.is_relative_to(path) for one in needed)]
        hiding = [word for path in hide for word in ("--hide", str(path))] if separate else []
        own = [sys.executable, "-I", "-c", RUN_PROBE, str(port)]
        own += [str(folder / "photos"), str(result), str(seconds), *hiding, "--"]
        environment: dict[str, str] = {}
        if not separate:
            environment = dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), DEAD_PROXY)
            environment["PYTHONPATH"] = str(REFUSAL)
        with RunningService(
            submission, port=port, prefix=[*separate, *own], environment=environment
        ) as service:
            status = service.wait(seconds + 30 * len(photos) + 10)
            service.kill()
            last_words = service.last_words
        try:
            findings = json.loads(result.read_bytes())
        except (OSError, ValueError):
            findings = {"ready": False, "answers": [], "hidden": False}
    return Offline(
        how="namespace" if separate else "refused",
        hidden=bool(hiding) and findings["hidden"],
        ready=findings["ready"],
        answers=[read_predictions(answer.encode()) for answer in findings["answers"]],
        status=status or None,
        last_words=last_words,
    )
