"""Sign a bundle with a key, and check its signature, in the format of OpenSSF model signing.

What is signed is manifest.json, which holds the hashes of all other files; the signature lies
beside it. Everything is done offline. Other tools can check it, too: `model_signing verify key
BUNDLE/manifest.json --signature BUNDLE/manifest.json.sig --public_key KEY`.
"""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from service.artifact.manifest import MANIFEST, SIGNATURE
from service.artifact.verify import Bundle, read_bundle, read_manifest
from service.errors import OperatorError, shorten, write_command


def sign(path: Path, key: Path) -> Bundle:
    """Write the signature of the bundle at `path`, replacing an older one.

    Args:
        path: the bundle's folder.
        key: file of an EC private key (P-256, P-384 or P-521) in PEM, without a password.

    Raises:
        OperatorError: the manifest is damaged, the key cannot be used, the extra is missing.
    """
    signing = _import_library().signing
    bundle = read_bundle(path, None)
    with _explain_key(key):
        signer = signing.Config().use_elliptic_key_signer(private_key=key)
    unfinished = path / f".{SIGNATURE}"
    try:
        with _in_memory(read_manifest(path)) as manifest:
            signer.set_hashing_config(_hashing()).sign(manifest, unfinished)
        unfinished.replace(path / SIGNATURE)
    except OSError as error:
        raise OperatorError(f"cannot write {path / SIGNATURE}: {error.strerror}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return bundle


def check_signature(bundle: Bundle, key: Path) -> None:
    """Check that the owner of a key signed a bundle.

    Args:
        bundle: verified.
        key: file of the EC public key in PEM.

    Raises:
        OperatorError: it is not signed, or by another key; the extra is missing.
    """
    verifying = _import_library().verifying
    with _explain_key(key):
        verifier = verifying.Config().use_elliptic_key_verifier(public_key=key)
    signature = bundle.path / SIGNATURE
    if not signature.is_file() or signature.is_symlink():
        raise OperatorError(
            f"{bundle.path} is not signed: expected a file {SIGNATURE}. Sign it "
            f"({write_command('service.artifact sign')}), or start without --verify-key"
        )
    data = read_manifest(bundle.path, bundle.digest)
    try:
        with _in_memory(data) as manifest:
            verifier.set_hashing_config(_hashing()).verify(manifest, signature)
    except Exception as error:  # of each layer of the library another one
        reason = shorten(str(error).strip() or "the signature is not the key's")
        raise OperatorError(
            f"{signature} is no signature of this bundle by the owner of {key}: {reason}. "
            "Get the bundle again from its owner, or name the owner's key (--verify-key)"
        ) from None


def _import_library() -> Any:
    try:
        import model_signing.signing
        import model_signing.verifying
    except ImportError as error:
        raise OperatorError(
            f"signatures need model-signing: {error}. Install it: "
            ".venv/bin/python -m pip install model-signing pyopenssl"
        ) from None
    return model_signing


def _hashing() -> Any:
    from model_signing import hashing

    config: Any = hashing.Config  # it has no types
    return config().set_allow_symlinks(True)  # /proc/self/fd has links


@contextmanager
def _explain_key(key: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        reason = error.strerror if isinstance(error, OSError) else shorten(str(error).strip())
        raise OperatorError(
            f"{key} cannot be used as a key: {reason}. Expected an EC key in PEM: openssl ecparam "
            "-name prime256v1 -genkey -noout -out private.pem; "
            "openssl ec -in private.pem -pubout -out public.pem"
        ) from None


@contextmanager
def _in_memory(data: bytes) -> Iterator[Path]:
    """Yield the path of a file that holds `data` and that no other program can change."""
    if not hasattr(os, "memfd_create"):
        with tempfile.TemporaryDirectory() as private:
            path = Path(private) / MANIFEST
            path.write_bytes(data)
            yield path
        return
    with os.fdopen(os.memfd_create(MANIFEST), "wb") as file:
        file.write(data)
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")
