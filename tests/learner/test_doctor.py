"""The doctor says before the set-up what will work, in figures that the lessons use."""

import os
import socket
import subprocess
import sys

import pytest

from learner import doctor, setup_environment
from service.machine import available_cores
from service.settings import ROOT


def test_report_needs_the_standard_library_only() -> None:
    """`-I -S` hides all installed packages."""
    script = "import sys; sys.path.insert(0, '.'); from learner import doctor; doctor.main()"
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", script], capture_output=True, text=True, cwd=ROOT
    )
    assert done.stderr == ""
    lines = done.stdout.splitlines()
    assert f"{available_cores()} cores" in lines[0]
    assert all(line.startswith(("  ok  ", "  no  ")) for line in lines[1:])
    assert len(lines) > 8


def test_used_port_is_named_with_the_way_out() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        works, said = doctor.examine_port(port, "make serve")
    assert (works, "make serve port=8123" in said) == (False, True)
    assert doctor.examine_port(port, "make serve")[0]


def test_proxy_in_the_way_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
    assert doctor.examine_proxy()[0]
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    works, said = doctor.examine_proxy()
    assert not works
    assert "NO_PROXY=127.0.0.1" in said
    monkeypatch.setenv("no_proxy", "127.0.0.1,localhost")
    assert doctor.examine_proxy()[0]


@pytest.mark.parametrize(("memory", "cores", "works"), [(2.0, 1, False), (16.0, 4, True)])
def test_small_machines_are_told(
    memory: float, cores: int, works: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor, "read_memory_gb", lambda: memory)
    monkeypatch.setattr(doctor, "available_cores", lambda: cores)
    assert doctor.examine_memory()[0] is works
    assert doctor.examine_cores()[0] is works


def test_full_disk_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(setup_environment, "read", lambda _: None)
    monkeypatch.setattr(setup_environment, "digest_of_inputs", lambda _: "wanted")
    monkeypatch.setattr(
        setup_environment, "read_lock", lambda doors: {"one": (10**9 * len(doors), "one==1")}
    )
    monkeypatch.setattr(doctor, "read_free_gb", lambda: 4.0)
    assert [works for works, _ in doctor.examine_doors()] == [True, False, False]
