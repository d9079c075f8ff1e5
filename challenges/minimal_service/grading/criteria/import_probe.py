"""Imports one module in a fresh process and records what that does.

python -I import_probe.py FILE ROOT RESULT LIBRARY…: FILE is the module, ROOT the folder of the
submission, RESULT the file for the findings as JSON. Each LIBRARY is imported first, so that what
libraries do at their own import does not count. Imports little, and of the standard library alone:
what is already imported cannot be noticed.
"""

import json
import os
import sys
import threading
import time

STARTS = (
    "subprocess.Popen",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.posix_spawn",
    "os.startfile",
    "os.system",
)
TALKS = (
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostbyname",
    "socket.sendto",
)
CODE = (".py", ".pyc", ".pyi", ".so", ".pth", ".toml", ".cfg")


def main() -> None:
    """Import the module and write the findings."""
    file, root, result, *libraries = sys.argv[1:]
    name, start = _module_name(file)
    sys.path[:0] = [start] if start == root else [start, root]
    sys.argv = [file]
    sys.dont_write_bytecode = True  # Python's own writing is not the module's
    for library in libraries:
        try:
            _import_library(library)
        except Exception as error:  # the module's own import fails, too, or does without it
            print(f"library {library}: {error}")
    before, already = _state(), set(sys.modules)
    seen: list[list[str]] = []
    watching = True

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if not watching:
            return
        if event == "open":
            path, _mode, flags = (*arguments, None, None, None)[:3]
            writes = bool(isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR))
            if isinstance(path, (str, bytes)) and not (os.fsdecode(path).endswith(CODE)):
                kind = "write" if writes else "read"
                seen.append([kind, os.path.abspath(os.fsdecode(path))])  # noqa: PTH100
        elif event in STARTS:
            seen.append(["start", event])
        elif event in TALKS:
            seen.append(["talk", event])

    sys.addaudithook(watch)
    failure: str | None = None
    try:
        __import__(name)
    except BaseException as fault:  # also SystemExit: a script that ends by itself
        failure = f"{type(fault).__name__}: {fault}"
    watching = False
    after = _state()
    findings = {
        "error": failure,
        "seen": seen[:1000],
        "modules": sorted(set(sys.modules) - already),
        "files": sorted(
            path
            for module in list(sys.modules.values())
            if isinstance(path := getattr(module, "__file__", None), str)
            and path.startswith(root + os.sep)
        ),
        "threads": [thread.name for thread in threading.enumerate()][1:],
        "new_threads": after["threads"] - before["threads"],
        "cpu_seconds": after["cpu"] - before["cpu"],
        "memory_bytes": after["memory"] - before["memory"],
    }
    with open(result, "w", encoding="utf-8") as output:  # noqa: PTH123
        json.dump(findings, output)
    sys.stdout.flush()
    os._exit(0)  # whatever threads it left


def _import_library(name: str) -> None:
    """Import `a.b` as `import a.b` or `from a import b` does; many libraries load names late."""
    first, *rest = name.split(".")
    found = __import__(first)
    for number, part in enumerate(rest):
        if not hasattr(found, part):
            __import__(".".join([first, *rest[: number + 1]]))
        found = getattr(found, part)


def _module_name(file: str) -> tuple[str, str]:
    """Return the dotted name of a file's module, and the folder to search for it."""
    folder, base = os.path.split(os.path.abspath(file))  # noqa: PTH100
    name = base.removesuffix(".py")
    while os.path.exists(os.path.join(folder, "__init__.py")):  # noqa: PTH110, PTH118
        folder, package = os.path.split(folder)
        name = f"{package}.{name}"
    return name, folder


def _state() -> dict[str, float]:
    if sys.platform == "linux":
        with open("/proc/self/status") as file:  # noqa: PTH123
            fields = dict(line.split(":", 1) for line in file)
        memory, threads = int(fields["RssAnon"].split()[0]) * 1024, int(fields["Threads"])
    else:
        memory, threads = 0, threading.active_count()
    return {"memory": memory, "threads": threads, "cpu": time.process_time()}


if __name__ == "__main__":
    main()
