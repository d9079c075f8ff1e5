"""The lock has a build of every package for each system that the README names."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote

import pytest
from packaging.markers import Marker
from packaging.tags import Tag, compatible_tags, cpython_tags, mac_platforms
from packaging.utils import parse_wheel_filename

from authoring.lock import resolve

PYTHONS = ((3, 11), (3, 12), (3, 13), (3, 14))


def list_platforms(system: str, machine: str) -> Iterable[str]:
    match system:
        case "linux":
            old = [f"manylinux{name}_{machine}" for name in ("2014", "2010", "1")]
            return [f"manylinux_2_{minor}_{machine}" for minor in range(5, 29)] + old
        case "musl":
            return [f"musllinux_1_{minor}_{machine}" for minor in (1, 2)]
        case "darwin":
            return list(mac_platforms((14, 0), machine))
    return [f"win_{machine.lower()}"]


def find_missing(packages: list[dict[str, Any]], system: str, machine: str) -> set[str]:
    """Return the packages that some supported Python would have to compile on this system."""
    missing = set()
    for version in PYTHONS:
        platforms = list_platforms(system, machine)
        supported: set[Tag] = {
            *cpython_tags(version, platforms=platforms),
            *compatible_tags(version, f"cp{version[0]}{version[1]}", platforms),
        }
        environment = {
            "sys_platform": {"windows": "win32", "musl": "linux"}.get(system, system),
            "platform_system": {"windows": "Windows", "darwin": "Darwin"}.get(system, "Linux"),
            "os_name": "nt" if system == "windows" else "posix",
            "platform_machine": machine,
            "python_version": f"{version[0]}.{version[1]}",
            "python_full_version": f"{version[0]}.{version[1]}.1",
        }
        for package in packages:
            if "marker" in package and not Marker(package["marker"]).evaluate(environment):
                continue
            names = (
                unquote(wheel["url"].rpartition("/")[2]) for wheel in package.get("wheels", ())
            )
            if not any(parse_wheel_filename(name)[3] & supported for name in names):
                missing.add(package["name"])
    return missing


@pytest.fixture(scope="module")
def packages() -> list[dict[str, Any]]:
    try:
        return resolve()
    except SystemExit:
        pytest.skip("the package index cannot be reached")


@pytest.mark.parametrize(
    ("system", "machine"),
    [("linux", "x86_64"), ("linux", "aarch64"), ("darwin", "arm64"), ("windows", "AMD64")],
)
def test_every_package_has_a_build(
    system: str, machine: str, packages: list[dict[str, Any]]
) -> None:
    """Windows, too: the set-up names WSL2 for other reasons."""
    assert find_missing(packages, system, machine) == set()


@pytest.mark.parametrize(
    ("system", "machine", "first"),
    [
        ("darwin", "x86_64", "onnxruntime"),
        ("windows", "ARM64", "torch"),
        ("musl", "x86_64", "onnxruntime"),
    ],
)
def test_systems_that_the_set_up_refuses_lack_builds(
    system: str, machine: str, first: str, packages: list[dict[str, Any]]
) -> None:
    assert first in find_missing(packages, system, machine)
