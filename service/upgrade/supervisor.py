"""Own the listening socket, and change the process that serves on it without losing a request.

A new model is first tried in a process with a socket of its own: it is verified, loaded, warmed up,
replayed, and its answers are compared with those of the running one. Then it is started on the
socket of the service, which both processes share, and the old process drains when the new one is
ready. Nothing of this is in the service itself, which does what it does under systemd
(`service.listener`): it takes over a socket, says when it is ready, and drains on SIGTERM. A new
version of the code comes in the same way.
"""

import asyncio
import json
import logging
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from service.artifact.verify import read_bundle
from service.errors import OperatorError
from service.listener import notify
from service.settings import Settings
from service.upgrade.comparison import collect_photos, compare

log = logging.getLogger("service")

CONTROL, STATE = "control", "state.json"
"""Files in the supervisor's folder: the socket for commands, and what is served."""
START_S = 300.0
"""Longest time, in seconds, until a process is ready."""
_PATIENCE_S = 10.0
"""Seconds that a process may take to end, beyond its drain and shutdown."""
_HAND_OVER = """
import os, signal, sys
if sys.platform == "linux":
    import ctypes
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG: end with the supervisor
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""
"""Runs in the new process: hand the socket over as sd_listen_fds(3) wants it."""

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Release:
    """A bundle that is served, was served, or shall be."""

    artifact: str
    """Its folder."""
    digest: str
    model: str
    """Name and version."""


def read_release(artifact: Path, digest: str | None = None) -> Release:
    """Read the manifest of a bundle.

    Raises:
        OperatorError: there is none, or it has another digest.
    """
    bundle = read_bundle(artifact, digest)
    manifest = bundle.manifest
    return Release(str(artifact), bundle.digest, f"{manifest.name} {manifest.version}")


@dataclass(frozen=True, slots=True)
class Upgrade:
    """What an operator asked for."""

    artifact: str
    digest: str | None = None
    """Digest that the bundle must have."""
    photos: str | None = None
    """Folder of photos to compare answers with, besides the golden ones."""
    api_key: str | None = None
    """Key for these photos, if the service asks for one."""
    min_agreement: float = 0.0
    """Smallest share of the photos to which both must give the same first class, 0–1."""
    overlap_s: float = 0.0
    """Seconds in which both processes answer, before the old one ends."""


class Supervisor:
    """Keeps one process serving, and replaces it."""

    def __init__(
        self, arguments: Sequence[str], settings: Settings, listener: socket.socket, folder: Path
    ) -> None:
        """Take what all processes have in common.

        Args:
            arguments: settings of the service, without the artifact.
            settings: the same, parsed.
            listener: bound; the first process listens on it when it is ready.
            folder: for the files of the supervisor.
        """
        self._arguments = list(arguments)
        self._settings = settings
        self._listener = listener
        self._folder = folder
        self._processes: set[Process] = set()
        self._logs: set[asyncio.Future[str]] = set()
        self._current: Process | None = None
        self._release: Release | None = None
        self._previous: Release | None = None
        self._stopping = asyncio.Event()
        self._upgrading = asyncio.Lock()
        self._changing = asyncio.Lock()

    async def run(self, release: Release, previous: Release | None) -> int:
        """Serve until SIGTERM or Ctrl-C; return the exit status."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            loop.add_signal_handler(number, self._stopping.set)
        try:
            control = await self._listen_for_commands()
            process = await self._start(self._listener, release)
            self._switch(process, release, previous)
            notify("READY=1")
            async with control:
                return await self._keep_serving()
        finally:
            await asyncio.gather(*(self._stop(process) for process in list(self._processes)))
            (self._folder / CONTROL).unlink(missing_ok=True)

    async def _keep_serving(self) -> int:
        """Start the process again if it ends unasked; return the exit status of the service."""
        while True:
            current = self._current
            assert current is not None
            await self._wait_for_end(current)
            if self._stopping.is_set():
                notify("STOPPING=1")
                await self._stop(current)
                return current.returncode or 0
            async with self._changing:
                if current is not self._current:  # it was replaced
                    continue
                assert self._release is not None
                log.error("upgrade  the service ended with %s; starting it", current.returncode)
                self._current = await self._start(self._listener, self._release)

    async def upgrade(self, wish: Upgrade, say: Say) -> None:
        """Replace the running model, or leave it as it is.

        Raises:
            OperatorError: the new bundle is not good enough, or cannot be served; the old one goes
                on.
        """
        if self._upgrading.locked():
            raise OperatorError("another upgrade is under way: wait for its end")
        async with self._upgrading:
            old = self._release
            assert old is not None
            release = read_release(Path(wish.artifact), wish.digest)
            say(f"trying {release.model} ({release.digest[:12]}) beside {old.model}")
            async with self._try(release) as port:
                say("it is verified, warm and replayed on a port of its own")
                await self._compare(port, old, wish, say)
            await self._replace(release, wish.overlap_s, say)

    async def go_back(self, say: Say) -> None:
        """Serve again what was served before; it has been tried already.

        Raises:
            OperatorError: nothing was served before, or it is not there any more.
        """
        if self._upgrading.locked():
            raise OperatorError("another upgrade is under way: wait for its end")
        async with self._upgrading:
            if self._previous is None:
                raise OperatorError("there is nothing to go back to: nothing was upgraded here yet")
            release = read_release(Path(self._previous.artifact), self._previous.digest)
            await self._replace(release, 0.0, say)

    def describe(self) -> dict[str, object]:
        """Return what is served, and by which process."""
        assert self._current is not None
        assert self._release is not None
        return {
            "serving": asdict(self._release),
            "process": self._current.pid,
            "previous": None if self._previous is None else asdict(self._previous),
            "upgrading": self._upgrading.locked(),
        }

    async def _compare(self, port: int, old: Release, wish: Upgrade, say: Say) -> None:
        photos = collect_photos(Path(old.artifact), old.digest, wish.photos)
        host, own_port = self._listener.getsockname()[:2]
        reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
        old_address, new_address = (reachable, own_port), ("127.0.0.1", port)
        found = await asyncio.to_thread(compare, old_address, new_address, photos, wish.api_key)
        say(str(found))
        if found.agreement < wish.min_agreement:
            raise OperatorError(
                f"the two answer the same first class on {found.agreement:.2%} of the photos: "
                f"expected at least {wish.min_agreement:.2%}. The old one goes on"
            )

    async def _replace(self, release: Release, overlap_s: float, say: Say) -> None:
        async with self._changing:
            old, previous = self._current, self._release
            assert old is not None
            say("starting it on the socket of the service")
            process = await self._start(self._listener, release)
            if overlap_s:
                say(f"both answer for {overlap_s:g} s")
                with suppress(TimeoutError):
                    await asyncio.wait_for(process.wait(), overlap_s)
                    raise OperatorError(
                        f"the new process ended with {process.returncode} while both answered; its "
                        "log says why. The old one goes on"
                    )
            self._switch(process, release, previous)
        say(f"{release.model} serves; the old process finishes its requests")
        status = await self._stop(old)
        say(f"done: {release.model}, digest {release.digest}; the old process ended with {status}")

    def _switch(self, process: Process, release: Release, previous: Release | None) -> None:
        self._current, self._release, self._previous = process, release, previous
        state = {"serving": release, "previous": previous}
        unfinished = self._folder / f".{STATE}"
        unfinished.write_text(
            json.dumps({name: one and asdict(one) for name, one in state.items()}, indent=1)
        )
        unfinished.replace(self._folder / STATE)

    @asynccontextmanager
    async def _try(self, release: Release) -> AsyncIterator[int]:
        """Start a process with a socket of its own; yield its port on 127.0.0.1; end it."""
        with socket.socket() as own:
            own.bind(("127.0.0.1", 0))
            process = await self._start(own, release, is_trial=True)
            try:
                yield own.getsockname()[1]
            finally:
                process.kill()  # nobody waits for its answers
                await process.wait()
                self._processes.discard(process)

    async def _start(
        self, listener: socket.socket, release: Release, is_trial: bool = False
    ) -> Process:
        """Start a process on a socket, and wait until it is ready.

        The log of a trial is passed on, and its error becomes the reason; all others write to the
        supervisor's log themselves, so that it cannot hold them up.

        Raises:
            OperatorError: it ended, or took too long.
        """
        with (
            tempfile.TemporaryDirectory() as private,
            socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told,
        ):
            told.bind(f"{private}/notify")
            told.setblocking(False)
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-c", _HAND_OVER, str(listener.fileno()),
                "-m", "service.inference_service", *self._arguments,
                "--artifact", release.artifact, "--artifact-digest", release.digest,
                pass_fds=[listener.fileno()],
                env={**os.environ, "NOTIFY_SOCKET": f"{private}/notify"},
                start_new_session=True,  # Ctrl-C is for the supervisor
                stderr=PIPE if is_trial else None,
            )  # fmt: skip
            self._processes.add(process)
            log_of_trial = asyncio.ensure_future(_pass_on(process))
            loop = asyncio.get_running_loop()
            ready = loop.create_task(loop.sock_recv(told, 100))
            ended = loop.create_task(self._wait_for_end(process))
            done, waiting = await asyncio.wait(
                {ready, ended}, timeout=START_S, return_when=asyncio.FIRST_COMPLETED
            )
            for task in waiting:
                task.cancel()
        if ready in done:
            self._logs.add(log_of_trial)  # keeps the task alive
            log_of_trial.add_done_callback(self._logs.discard)
            return process
        await self._stop(process)
        if self._stopping.is_set():
            raise OperatorError("told to end while a process was starting")
        reason = (
            await log_of_trial or f"its process ended with {process.returncode}; the log says why"
            if done
            else f"not ready after {START_S:g} s"
        )
        raise OperatorError(f"{release.model} from {release.artifact} is not served: {reason}")

    async def _wait_for_end(self, process: Process) -> None:
        """Wait until a process ends, or until this supervisor is told to end."""
        waiting = [asyncio.ensure_future(each) for each in (process.wait(), self._stopping.wait())]
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        for task in waiting:
            task.cancel()

    async def _stop(self, process: Process) -> int:
        """Have a process drain; return its exit status."""
        settings = self._settings
        longest_s = settings.drain_seconds + settings.shutdown_seconds + _PATIENCE_S
        with suppress(ProcessLookupError):
            process.terminate()
        try:
            status = await asyncio.wait_for(process.wait(), longest_s)
        except TimeoutError:
            process.kill()
            status = await process.wait()
        self._processes.discard(process)
        return status

    async def _listen_for_commands(self) -> asyncio.Server:
        """Take commands from a socket in the folder, which is this user's only."""
        path = self._folder / CONTROL
        with suppress(OSError), socket.socket(socket.AF_UNIX) as other:
            other.connect(str(path))
            raise OperatorError(
                f"another supervisor runs in {self._folder}. Stop it, or name another --folder"
            )
        mask = os.umask(0o077)
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            return await asyncio.start_unix_server(self._obey, path)
        except OSError as error:
            raise OperatorError(
                f"cannot take commands at {path}: {error}. Name another --folder"
            ) from None
        finally:
            os.umask(mask)

    async def _obey(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Run one command; answer each step, and how it ended, as one line of JSON each."""

        def tell(**fields: object) -> None:
            with suppress(OSError):  # the operator has left; the command goes on
                writer.write(json.dumps(fields).encode() + b"\n")

        def say(line: str) -> None:
            log.info("upgrade  %s", line)
            tell(say=line)

        error: str | None = None
        try:
            wish = json.loads(await reader.readline())
            if self._current is None:
                raise OperatorError("the first process is not ready yet: try again")
            match wish.pop("command"):
                case "to":
                    await self.upgrade(Upgrade(**wish), say)
                case "back":
                    await self.go_back(say)
                case "status":
                    tell(status=self.describe())
        except OperatorError as reason:
            error = str(reason)
            log.error("upgrade  %s", error)
        except Exception as fault:
            log.exception("upgrade  failed")
            error = f"the command failed: {fault!r}; the supervisor's log says where"
        tell(error=error)
        writer.close()


async def _pass_on(process: Process) -> str:
    """Copy the log of a process to this one's; return its last error."""
    reason = ""
    while process.stderr is not None and (line := await process.stderr.readline()):
        sys.stderr.buffer.write(line)
        sys.stderr.flush()
        if line.startswith(b"error: "):
            reason = line.decode(errors="replace").removeprefix("error: ").strip()
    return reason
