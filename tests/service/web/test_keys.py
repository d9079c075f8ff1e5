"""API keys: who may call, how a file of them is read, and how one is made."""

import base64
import hashlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx2 as httpx
import pytest

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.errors import OperatorError
from service.settings import ROOT
from service.web import keys
from service.web.keys import KeyFile, add_key, hash_key, main, make_key, read_keys
from tests.conftest import ServiceProcess, refuse_start, wait_until
from tests.service.web.test_protocol import connect, post, read_answer

PHOTO = SAMPLE_PHOTOS[0].read()
Start = Callable[..., ServiceProcess]


def bearer(key: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", f"Bearer {key}".encode())]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "keys.txt"


def test_a_key_is_random_and_its_file_does_not_hold_it(file: Path) -> None:
    made = {make_key() for _ in range(100)}
    assert len(made) == 100
    assert all(len(key) == len("msk_") + 43 for key in made)  # 256 bits, 6 a character
    key = add_key("app", file)
    assert key not in file.read_text()
    assert read_keys(file) == {"app": hashlib.sha256(key.encode()).hexdigest()}


def test_each_way_to_send_a_key(file: Path) -> None:
    one, other = add_key("one", file), add_key("other", file)
    known = KeyFile(file)
    assert known.identify(bearer(one)) == "one"
    assert known.identify([(b"authorization", b"bearer  " + other.encode())]) == "other"
    assert known.identify([(b"x-api-key", other.encode())]) == "other"
    prompt = base64.b64encode(f"anybody:{one}".encode())
    assert known.identify([(b"authorization", b"Basic " + prompt)]) == "one"


@pytest.mark.parametrize(
    "headers",
    [
        [],
        bearer(""),
        bearer(make_key()),
        [(b"authorization", b"Basic !!!")],
        [(b"authorization", b"Digest x")],
        [(b"x-api-key", b"\xff\x00")],
    ],
)
def test_what_is_no_key_is_refused(headers: list[tuple[bytes, bytes]], file: Path) -> None:
    key = add_key("one", file)
    known = KeyFile(file)
    assert known.identify(headers) is None
    assert known.identify(bearer(key[:-1])) is None
    assert known.identify(bearer(hash_key(key))) is None  # what the file holds opens nothing


def test_every_hash_is_compared(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of an answer does not tell which key was right, nor how much of it."""
    first = add_key("a", file)
    for name in "bcd":
        add_key(name, file)
    compared = list[str]()

    def compare(one: str, other: str) -> bool:
        compared.append(other)
        return one == other

    monkeypatch.setattr("hmac.compare_digest", compare)
    assert KeyFile(file).identify(bearer(first)) == "a"
    assert len(compared) == 4


def test_changed_file_is_read_again(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "_CHECK_S", 0.0)
    old = add_key("old", file)
    known = KeyFile(file)
    new = add_key("new", file)
    assert known.identify(bearer(new)) == "new"
    file.write_text(file.read_text().splitlines()[1])
    assert known.identify(bearer(old)) is None
    file.write_text("this is no file of keys")
    assert known.identify(bearer(new)) == "new"  # a slip locks nobody out, and lets nobody in
    file.unlink()
    assert known.identify(bearer(new)) == "new"
    file.write_text("")
    assert known.identify(bearer(new)) is None  # no key is left, and that is what it says


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            "",
            r"holds no key: expected at least one. Make a key: \S*python -m service\.web\.keys new",
        ),
        (f"app {'0' * 63}", "line 1 of"),
        (f"# team\n\napp {'0' * 64} # phone\napp {'1' * 64}", "line 4 of"),
        (make_key(), "is no name and SHA-256: expected a name of its own, a space and 64 hex"),
    ],
)
def test_wrong_file_is_refused_without_repeating_it(text: str, words: str, file: Path) -> None:
    file.write_text(text)
    with pytest.raises(OperatorError, match=words.replace("(", r"\(")) as refused:
        KeyFile(file)
    assert not text or text not in str(refused.value)


def test_wrong_settings_end_the_start(file: Path) -> None:
    assert f"--api-keys {file} cannot be read: No such file" in refuse_start(
        "--api-keys", str(file)
    )
    line = refuse_start("--console", "--host", "0.0.0.0")
    assert "--console shows the log, and 0.0.0.0 can be reached from elsewhere: expected" in line


def test_command_prints_the_key_once(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "service.web.keys", "new", "app", str(file)]
    made = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    assert made.returncode == 0, made.stderr
    key = made.stdout.strip()
    assert KeyFile(file).identify(bearer(key)) == "app"
    assert key not in made.stderr
    for name, words in (("app", "has a key app already"), ("a b", "'a b' is no name of a key")):
        assert main(["new", name, str(file)]) == 1
        assert words in capsys.readouterr().err
    assert main(["new", "x", str(file / "below")]) == 1
    assert "cannot be written" in capsys.readouterr().err


def test_requests_need_a_key_and_probes_none(start_service: Start, file: Path) -> None:
    key = add_key("mobile", file)
    service = start_service("--api-keys", str(file), "--cors-origins", "https://example.org")
    url = service.url
    for path in ("/livez", "/readyz"):
        assert httpx.get(f"{url}{path}").status_code == 200
    for path in ("/metrics", "/artifact", "/docs", "/openapi.json", "/nothing"):
        assert httpx.get(f"{url}{path}").status_code == 401
    with connect(url) as client:  # refused before its body is read
        client.sendall(post(body=b"", declared=len(PHOTO)))
        answer = read_answer(client)
    assert (answer.status, answer.getheader("www-authenticate")) == (
        401,
        'Bearer realm="model service"',
    )
    assert "send one in the header Authorization" in answer.text  # type: ignore[attr-defined]
    allowed = {"Authorization": f"Bearer {key}"}
    assert httpx.post(f"{url}/predict", content=PHOTO, headers=allowed).status_code == 200
    page = {"Origin": "https://example.org"}
    asks = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-api-key"}
    assert httpx.options(f"{url}/predict", headers=page | asks).status_code == 200
    refused = httpx.post(f"{url}/predict", content=PHOTO, headers=page)  # which its page can read
    assert refused.headers["access-control-allow-origin"] == "https://example.org"
    metrics = httpx.get(f"{url}/metrics", headers=allowed).text
    assert 'inference_refusals_total{matter_of="client",reason="no_key"} 6.0' in metrics

    second = add_key("second", file)
    wait_until(lambda: httpx.get(f"{url}/artifact", headers={"X-Api-Key": second}).is_success)
    log = service.log.read_text()
    assert "· key mobile" in log
    assert key not in log
    assert second not in log
