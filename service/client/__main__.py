"""Send images to a running service, and print the answers: `model-service predict photo.jpg …`."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TypeVar

from service.client import NEEDS
from service.errors import write_command
from service.web.responses import PredictResponse

try:
    from service.client.client import AT_ONCE, DEADLINE_S, URL, Client, PredictionError
except ModuleNotFoundError as missing:
    if __name__ != "__main__" or missing.name != "httpx2":
        raise
    sys.exit(NEEDS)

KEY = "MODEL_SERVICE_KEY"
SUFFIXES = frozenset({".jpeg", ".jpg", ".png", ".webp"})
"""Files of a folder that are sent; a file that is named is sent whatever its name."""
SOME_FAILED, UNREACHABLE, INTERRUPTED = 1, 2, 130
_REPORT_S = 10.0
_Number = TypeVar("_Number", int, float)


def main(arguments: list[str] | None = None) -> int:
    """Send the files and print an answer or an error for each.

    Returns:
        0: all were answered; 1: some were not; 2: nothing answers at the URL; 130: interrupted.
    """
    options = _make_parser().parse_args(arguments)
    try:
        client = Client(
            options.url,
            key=os.environ.get(KEY) or None,
            deadline_s=options.deadline,
            at_once=options.at_once,
        )
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNREACHABLE
    with client:
        try:
            return _predict(client, options)
        except KeyboardInterrupt:
            print("\ninterrupted: what has no line above was not answered", file=sys.stderr)
            sys.stdout.flush()
            os._exit(INTERRUPTED)  # threads may wait for answers until their deadline
        except BrokenPipeError:  # such as `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return SOME_FAILED


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=write_command("service.client"),
        description="Send images to a running service. Exit status: 0 if all were answered, 1 if "
        "some were not, 2 if there is no service.",
        epilog=f"If the service asks for a key, set {KEY} in the environment.",
    )
    parser.add_argument(
        "paths", nargs="+", type=Path, metavar="PATH", help="image files, or folders of them"
    )
    parser.add_argument("--url", default=URL, help="of the service (%(default)s)")
    parser.add_argument("-k", type=_positive(int), default=3, help="classes (%(default)s)")
    parser.add_argument("--json", action="store_true", help="print an object a line")
    parser.add_argument(
        "--at-once", type=_positive(int), default=AT_ONCE, help="requests (%(default)s)"
    )
    parser.add_argument(
        "--deadline",
        type=_positive(float),
        default=DEADLINE_S,
        help="seconds for each image, with all attempts (%(default)g)",
    )
    return parser


def _positive(kind: Callable[[str], _Number]) -> Callable[[str], _Number]:
    def read(text: str) -> _Number:
        value = kind(text)
        if not 0 < value < 1e6:
            raise argparse.ArgumentTypeError(f"{text} is not between 0 and 1,000,000")
        return value

    read.__name__ = getattr(kind, "__name__", "number")
    return read


def list_images(paths: Iterable[Path]) -> list[Path]:
    """Return the files to send: those that are named, and the images in folders, at any depth.

    Raises:
        ValueError: a folder has none.
    """
    images: list[Path] = []
    for path in paths:
        if not path.is_dir():
            images.append(path)
            continue
        inside = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES)
        if not inside:
            raise ValueError(f"{path} has no images: expected files {', '.join(sorted(SUFFIXES))}")
        images += inside
    return images


def _predict(client: Client, options: argparse.Namespace) -> int:
    try:
        images = list_images(options.paths)
        client.check_reachable()
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return SOME_FAILED
    except PredictionError as error:
        print(f"error: {error}. Start it (make serve), or name another --url", file=sys.stderr)
        return UNREACHABLE
    width = min(40, max(len(str(image)) for image in images))
    progress, failed = _Progress(len(images)), 0
    for path, answer in client.predict_many(images, options.k):
        failed += isinstance(answer, PredictionError)
        progress.clear()
        if options.json:
            print(json.dumps(_as_object(path, answer), ensure_ascii=False), flush=True)
        elif isinstance(answer, PredictionError):
            print(f"error: {path}: {answer}", file=sys.stderr, flush=True)
        else:
            classes = "   ".join(f"{one.label} {one.probability:.1%}" for one in answer.predictions)
            print(f"{path!s:<{width}}   {classes}", flush=True)
        progress.show(failed)
    progress.clear()
    print(f"{len(images) - failed} of {len(images)} images answered", file=sys.stderr)
    return SOME_FAILED if failed else 0


def _as_object(path: Path, answer: PredictResponse | PredictionError) -> dict[str, object]:
    if isinstance(answer, PredictionError):
        return {"file": str(path), "error": str(answer), "status": answer.status}
    return {"file": str(path), **answer.model_dump()}


class _Progress:
    """What is done, on the standard error: a line that is renewed, or, in a file, now and then."""

    def __init__(self, total: int) -> None:
        self._total, self._done = total, 0
        self._renews = sys.stderr.isatty()
        self._shown = time.monotonic()

    def show(self, failed: int) -> None:
        self._done += 1
        text = f"{self._done} of {self._total}" + (f", {failed} not answered" if failed else "")
        if self._renews:
            print(f"\r{text} …", end="", file=sys.stderr, flush=True)
        elif time.monotonic() - self._shown > _REPORT_S:
            self._shown = time.monotonic()
            print(f"{text} …", file=sys.stderr, flush=True)

    def clear(self) -> None:
        if self._renews:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
