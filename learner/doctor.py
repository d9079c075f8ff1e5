"""`make doctor`: what this machine is, what will work here, what will not, and why.

It needs the standard library only, because it is most useful before the set-up; it speaks English
then. The cores are counted as the service and lesson 6 count them (`service.machine`).
"""

import os
import platform
import shutil
import socket
import sys
import urllib.request

from learner import setup_environment
from service.gpu.diagnosis import gpu_count
from service.machine import available_cores

try:
    from learner.language import _
except ImportError:  # before the set-up

    def _(text: str) -> str:
        return text


PORTS = {8000: "make serve", 8888: "make lab"}
CHALLENGE_GB = 4
"""Memory for the challenge: its model of 1 GB is held up to three times while it is built."""


def main() -> int:
    """Print the report; return 1 if something will not work."""
    print(describe_machine())
    problems = 0
    for works, text in examine():
        problems += not works
        print(("  ok  " if works else "  no  ") + text)
    return 1 if problems else 0


def describe_machine() -> str:
    """Return system, Python, cores, memory and free disk in one line."""
    return _("{system}, Python {python}, {cores} cores, {memory:.0f} GB memory, {disk:.0f} GB free"
             ).format(
        system=f"{platform.system()} {platform.machine()}", python=platform.python_version(),
        cores=available_cores(), memory=read_memory_gb(), disk=read_free_gb(),
    )  # fmt: skip


def read_memory_gb() -> float:
    """Return the machine's memory in GB; 0 where it cannot be read."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (AttributeError, ValueError, OSError):
        return 0.0


def read_free_gb() -> float:
    """Return the free disk space of the repository's folder in GB."""
    return shutil.disk_usage(setup_environment.ROOT).free / 1e9


def examine() -> "list[tuple[bool, str]]":
    """Return what was examined: whether it will work, and the words."""
    return [
        examine_system(), *examine_doors(), examine_memory(), examine_cores(),
        *(examine_port(port, user) for port, user in PORTS.items()),
        examine_proxy(), examine_gpu(),
    ]  # fmt: skip


def examine_system() -> "tuple[bool, str]":
    """Say whether the packages exist for this system and Python."""
    obstacle = setup_environment.find_platform_obstacle()
    try:
        python = setup_environment.find_python()
    except setup_environment.SetupError as error:
        obstacle = obstacle or str(error)
        python = ""
    return not obstacle, obstacle or _("system and Python: supported ({python})").format(
        python=python
    )


def examine_doors() -> "list[tuple[bool, str]]":
    """Say of each door whether it is set up, or whether there is disk space for it."""
    rows = []
    for number, door in enumerate(setup_environment.DOORS, 1):
        entries = setup_environment.read_lock(setup_environment.DOORS[:number])
        if sys.platform != "linux":
            entries = {name: one for name, one in entries.items() if "'linux'" not in one[1]}
        need = sum(size for size, _text in entries.values()) * setup_environment.UNPACKED / 1e9
        stamp = setup_environment.read(setup_environment.stamp(door))
        if stamp == setup_environment.digest_of_inputs(door):
            rows.append((True, _("{door}: set up").format(door=door)))
        else:
            sentence = _("{door}: not set up; needs {need:.1f} GB of disk, {free:.0f} GB are free")
            rows.append((
                need < read_free_gb(),
                sentence.format(door=door, need=need, free=read_free_gb()),
            ))  # fmt: skip
    return rows


def examine_memory() -> "tuple[bool, str]":
    """Say whether the memory is enough for the challenge."""
    memory = read_memory_gb()
    return memory >= CHALLENGE_GB, _(
        "memory: {memory:.0f} GB; the challenge needs {need} GB, all else 2 GB"
    ).format(memory=memory, need=CHALLENGE_GB)


def examine_cores() -> "tuple[bool, str]":
    """Say whether load can be generated beside a service."""
    cores = available_cores()
    if cores > 1:
        return True, _("cores: enough for a service and its load")
    return False, _(
        "cores: only one; in load tests the generator will be the bottleneck, and they say so"
    )


def examine_port(port: int, user: str) -> "tuple[bool, str]":
    """Say whether a port is free that a command takes by default."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False, _(
                "port {port}: used by another program; {user} needs another one: {user} port=8123"
            ).format(port=port, user=user)
    return True, _("port {port}: free, for {user}").format(port=port, user=user)


def examine_proxy() -> "tuple[bool, str]":
    """Say whether requests to this machine would go to a proxy."""
    proxies = urllib.request.getproxies()
    if "http" not in proxies or urllib.request.proxy_bypass("127.0.0.1"):
        return True, _("proxy: not in the way of requests to 127.0.0.1")
    return False, _(
        "proxy: {proxy} would take requests to 127.0.0.1; set NO_PROXY=127.0.0.1,localhost"
    ).format(proxy=proxies["http"])


def examine_gpu() -> "tuple[bool, str]":
    """Say how many GPUs there are; none are needed."""
    return True, _("GPUs: {count}; none are needed").format(count=gpu_count())


if __name__ == "__main__":
    sys.exit(main())
