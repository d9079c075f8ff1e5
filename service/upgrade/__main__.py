"""`python -m service.upgrade serve | to | back | status`: replace a running model without a gap."""

import argparse
import asyncio
import json
import socket
import sys
from pathlib import Path

from service.errors import OperatorError, write_command
from service.settings import settings_from
from service.upgrade.supervisor import CONTROL, STATE, Release, Supervisor, read_release

FOLDER = Path("upgrade")
DRAIN_S = "1"
"""Seconds in which the old process ends each kept connection with an answer. Without them, a client
may send a request in the very moment at which its idle connection is closed. In them a probe may
hear "not ready" from the old process, so they are few."""


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status: 0, or 1 with one line that says why."""
    parser = _make_parser()
    options, others = parser.parse_known_args(arguments)
    if others and options.command != "serve":
        parser.error(f"unrecognized arguments: {' '.join(others)}")
    try:
        if options.command == "serve":
            return _serve(options, others)
        return _command(options)
    except OperatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nthe supervisor goes on with what was begun; see its log", file=sys.stderr)
        return 130


def _serve(options: argparse.Namespace, others: list[str]) -> int:
    from service.listener import bind
    from service.telemetry.log import configure_log

    configure_log()
    named = [] if options.artifact is None else ["--artifact", str(options.artifact)]
    if options.artifact_digest is not None:
        named += ["--artifact-digest", options.artifact_digest]
    settings = settings_from([*others, *named])
    if "drain_seconds" not in settings.model_fields_set:
        others = [*others, "--drain-seconds", DRAIN_S]
    if not settings.reuse_port:
        others = [*others, "--reuse-port"]  # for any port that a process takes by itself
    if settings.front_ends > 1:
        raise OperatorError(
            f"--front-ends {settings.front_ends} binds sockets of its own, which cannot be handed "
            "over. Leave it out, or run two services behind a balancer"
        )
    folder = options.folder.resolve()
    release, previous = _read_state(folder)
    if release is None:
        release = read_release(settings.artifact.resolve(), settings.artifact_digest)
    with bind(settings) as listener:
        supervisor = Supervisor(others, settings, listener, folder)
        return asyncio.run(supervisor.run(release, previous))


def _read_state(folder: Path) -> tuple[Release | None, Release | None]:
    """Return what was served last, and before that."""
    path = folder / STATE
    try:
        state = json.loads(path.read_text())
        previous = state["previous"]
        return Release(**state["serving"]), None if previous is None else Release(**previous)
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise OperatorError(
            f"{path} is damaged: {error!r}. Remove it, and name what to serve (--artifact)"
        ) from None


def _command(options: argparse.Namespace) -> int:
    """Send a command to the supervisor, and print its answers as they come."""
    wish = {
        name: value
        for name, value in vars(options).items()
        if name != "folder" and value is not None
    }
    for name in ("artifact", "photos"):
        if name in wish:
            wish[name] = str(wish[name].resolve())
    if key_file := wish.pop("api_key_file", None):
        try:
            wish["api_key"] = key_file.read_text().strip()
        except OSError as reason:
            raise OperatorError(f"--api-key-file {key_file}: {reason.strerror}") from None
    path = options.folder / CONTROL
    error: str | None = "the supervisor ended before it answered; its log says why"
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(str(path))
        except OSError as reason:
            raise OperatorError(
                f"no supervisor takes commands at {path}: {reason.strerror}. Start one "
                f"({write_command('service.upgrade serve')}), or name its --folder"
            ) from None
        connection.sendall(json.dumps(wish).encode() + b"\n")
        for line in connection.makefile():
            answer = json.loads(line)
            if "say" in answer:
                print(answer["say"], flush=True)
            elif "status" in answer:
                print(json.dumps(answer["status"], indent=1, ensure_ascii=False))
            else:
                error = answer["error"]
    if error is not None:
        raise OperatorError(error)
    return 0


def _make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=write_command("service.upgrade"), description=__doc__, allow_abbrev=False
    )
    commands = parser.add_subparsers(
        required=True, dest="command", metavar="serve | to | back | status"
    )
    serve = commands.add_parser(
        "serve",
        help="serve a model that can be replaced; takes all settings of the service, too",
        allow_abbrev=False,
    )
    serve.add_argument("--artifact", type=Path, help="what is served, if nothing was before")
    serve.add_argument("--artifact-digest", help="the SHA-256 that its manifest.json must have")
    to = commands.add_parser("to", help="try another bundle, compare its answers, switch to it")
    to.add_argument("artifact", type=Path, metavar="BUNDLE", help="folder of the new bundle")
    to.add_argument("--digest", help="the SHA-256 that its manifest.json must have")
    to.add_argument("--photos", type=Path, help="photos to compare answers with, and golden ones")
    to.add_argument(
        "--api-key-file", type=Path, help="file with a key for these photos, if the service asks "
        "for one"
    )  # fmt: skip
    to.add_argument(
        "--min-agreement", type=_parse_share, default=0.0, metavar="SHARE",
        help="least share of photos with the same first class, such as 0.98",
    )  # fmt: skip
    to.add_argument(
        "--overlap-seconds", type=_parse_seconds, default=0.0, dest="overlap_s", metavar="SECONDS",
        help="time in which both answer new connections, before the old process ends",
    )  # fmt: skip
    back = commands.add_parser("back", help="serve again what was served before")
    status = commands.add_parser("status", help="print what is served, and by which process")
    for command in (serve, to, back, status):
        command.add_argument(
            "--folder", type=Path, default=FOLDER,
            help="of the supervisor: its socket for commands, and what it serves (%(default)s)",
        )  # fmt: skip
    return parser


def _parse_share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 1")
    return share


def _parse_seconds(text: str) -> float:
    seconds = float(text)
    if not 0 <= seconds <= 86_400:
        raise argparse.ArgumentTypeError(f"{text} is not from 0 to 86400")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
