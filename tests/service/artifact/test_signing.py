"""Signatures by a real key pair: the owner's bundle is accepted, all others are refused."""

import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from service import startup
from service.artifact.__main__ import main
from service.artifact.manifest import MANIFEST, SIGNATURE
from service.artifact.signing import check_signature, sign
from service.artifact.verify import verify
from service.errors import OperatorError
from service.settings import Settings
from tests.service.artifact.test_verify import rewrite_manifest

PEM = serialization.Encoding.PEM

needs_library = pytest.mark.skipif(
    subprocess.run([sys.executable, "-c", "import model_signing"], capture_output=True).returncode
    != 0,
    reason="model-signing cannot be imported: pip install model-signing pyopenssl",
)


def make_keys(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a private and a public key, as openssl does."""
    key = ec.generate_private_key(ec.SECP256R1())
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(
            PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@needs_library
def test_signed_bundle_is_served_and_only_that(bundle_copy: Path, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path, "owner")
    settings = Settings(artifact=bundle_copy, device="cpu", verify_key=public)
    with pytest.raises(OperatorError, match=r"is not signed: expected a file manifest\.json\.sig"):
        startup.load_model(settings)
    sign(bundle_copy, private)
    startup.load_model(settings).close()
    _, other = make_keys(tmp_path, "other")
    with pytest.raises(OperatorError, match=r"is no signature of this bundle by the owner of .*ot"):
        startup.load_model(settings.model_copy(update={"verify_key": other}))
    startup.load_model(settings.model_copy(update={"verify_key": None})).close()
    # Whoever replaces all of the bundle can make the hashes right, but not the signature.
    rewrite_manifest(bundle_copy, version="6.6.6")
    with pytest.raises(OperatorError, match="Signature mismatch"):
        startup.load_model(settings)


@needs_library
@pytest.mark.parametrize("position", [40, -40])
def test_one_changed_byte_of_the_signature(
    bundle_copy: Path, tmp_path: Path, position: int
) -> None:
    private, public = make_keys(tmp_path, "owner")
    sign(bundle_copy, private)
    path = bundle_copy / SIGNATURE
    data = bytearray(path.read_bytes())
    data[position] ^= 1
    path.write_bytes(data)
    with pytest.raises(OperatorError, match=r"manifest\.json\.sig is no signature"):
        check_signature(verify(bundle_copy), public)


@needs_library
def test_manifest_swapped_for_the_check_of_the_signature(bundle_copy: Path, tmp_path: Path) -> None:
    """What was verified must be what is signed, not what lies there a moment later."""
    private, public = make_keys(tmp_path, "owner")
    signed = (bundle_copy / MANIFEST).read_bytes()
    sign(bundle_copy, private)
    rewrite_manifest(bundle_copy, version="6.6.6")
    loaded = verify(bundle_copy)
    (bundle_copy / MANIFEST).write_bytes(signed)
    with pytest.raises(OperatorError, match=r"manifest\.json was changed"):
        check_signature(loaded, public)


@needs_library
def test_other_tools_can_check_it(bundle_copy: Path, tmp_path: Path) -> None:
    private, public = make_keys(tmp_path, "owner")
    sign(bundle_copy, private)
    command = [sys.executable, "-m", "model_signing", "verify", "key", str(bundle_copy / MANIFEST)]
    options = ["--signature", str(bundle_copy / SIGNATURE), "--public_key", str(public)]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@needs_library
def test_commands_and_wrong_keys(
    bundle_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    private, public = make_keys(tmp_path, "owner")
    no_ec = tmp_path / "rsa.pem"
    no_ec.write_bytes(
        rsa.generate_private_key(65537, 2048).private_bytes(
            PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    for key, reason in ((no_ec, "no attribute"), (public, "PEM"), (tmp_path / "no", "No such")):
        assert main(["sign", str(bundle_copy), "--key", str(key)]) == 1
        line = capsys.readouterr().err
        assert line.startswith(f"error: {key} cannot be used as a key: ")
        assert reason in line
        assert line.count("\n") == 1
        assert not (bundle_copy / SIGNATURE).exists()
    assert main(["verify", str(bundle_copy), "--key", str(public)]) == 1
    assert "is not signed" in capsys.readouterr().err
    assert main(["sign", str(bundle_copy), "--key", str(private)]) == 0
    assert f"signed by {private}" in capsys.readouterr().out
    assert main(["verify", str(bundle_copy), "--key", str(public)]) == 0
    assert "signed by that key" in capsys.readouterr().out


def test_without_the_library(
    bundle_copy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.setitem(sys.modules, "model_signing", None)
    monkeypatch.setitem(sys.modules, "model_signing.signing", None)
    private, public = make_keys(tmp_path, "owner")
    for command in (["sign"], ["verify"]):
        key = private if command == ["sign"] else public
        assert main([*command, str(bundle_copy), "--key", str(key)]) == 1
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert "signatures need model-signing" in line
        assert "pip install model-signing pyopenssl" in line
