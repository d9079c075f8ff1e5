"""The audit finds a planted advisory, says when it cannot ask; the bill of materials is whole."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from authoring import supply_chain
from authoring.supply_chain import FOUND, LOCKS, UNKNOWN, main
from tests.service.test_deploy import CUDA_REQUIREMENTS, REQUIREMENTS, Pinned

HASH = "--hash=sha256:" + "0" * 64
ADVISORY = {
    "id": "PYSEC-0000-1",
    "details": "planted",
    "aliases": [],
    "affected": [
        {
            "package": {"name": "planted", "ecosystem": "PyPI"},
            "ranges": [
                {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}
            ],
        }
    ],
}  # fmt: skip


class Advisories(BaseHTTPRequestHandler):
    """Speaks the protocol of osv.dev, and knows one vulnerable package."""

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        planted = (asked["package"]["name"], asked["version"]) == ("planted", "1.0")
        body = json.dumps({"vulns": [ADVISORY]} if planted else {}).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def advisories() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
        server.shutdown()


@pytest.mark.parametrize(("version", "status"), [("1.0", FOUND), ("1.1", 0)])
def test_planted_advisory_is_found(
    version: str, status: int, advisories: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lock = tmp_path / "planted.lock"
    lock.write_text(f"harmless==2 {HASH}\nplanted=={version} {HASH}\n")
    assert main(["audit", str(lock), "--osv-url", advisories]) == status
    told = capfd.readouterr().out
    assert ("planted 1.0: PYSEC-0000-1, mended in 1.1" in told) == bool(status)
    assert f"planted.lock: 2 packages, {1 if status else 0} known vulnerabilities\n" in told


def test_locks_of_this_repository_can_be_audited(
    advisories: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["audit", str(LOCKS[1]), "--osv-url", advisories]) == 0
    assert f"requirements.txt: {len(REQUIREMENTS)} packages, 0 " in capfd.readouterr().out
    assert all(lock.is_file() for lock in LOCKS)


def test_audit_without_a_network_says_so(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    lock = tmp_path / "some.lock"
    lock.write_text(f"harmless==2 {HASH}\n")
    assert main(["audit", str(lock), "--osv-url", "http://127.0.0.1:9"]) == UNKNOWN
    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith("error: some.lock was not checked, so nothing is known: ")
    assert "An audit needs the network" in line


def test_package_that_was_not_checked_is_no_all_clear(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    said = {"dependencies": [{"name": "private", "skip_reason": "not on PyPI"}]}
    program = tmp_path / "pip-audit"
    program.write_text(f"#!/bin/sh\necho '{json.dumps(said)}'\n")
    program.chmod(0o755)
    monkeypatch.setattr(supply_chain, "_PROGRAMS", tmp_path)
    assert main(["audit", str(LOCKS[1])]) == UNKNOWN
    assert "1 of them were not checked" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("variant", "requirements"),
    [([], REQUIREMENTS), (["--gpu"], REQUIREMENTS | CUDA_REQUIREMENTS)],
    ids=["cpu", "gpu"],
)
def test_bill_of_materials_lists_what_the_container_gets(
    variant: list[str], requirements: Pinned, tmp_path: Path
) -> None:
    files = [tmp_path / "new" / name for name in ("one.json", "other.json")]
    for file in files:
        assert main(["sbom", *variant, str(file)]) == 0
    text, other = (file.read_text() for file in files)
    assert text == other
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    bill = json.loads(text)
    assert bill["metadata"]["component"]["name"] == "jupyter-to-production"
    components = {one["name"]: one["version"] for one in bill["components"]}
    locked = {name: line.partition(" ;")[0] for name, (line, _hashes) in requirements.items()}
    assert components == locked
    for one in bill["components"]:
        assert one["externalReferences"][0]["hashes"]
