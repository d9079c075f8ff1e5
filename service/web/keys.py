"""API keys: who may call. A file has a name and a hash for each key, and never a key.

    python -m service.web.keys new mobile-app keys.txt     # prints the key, once

A key is 256 random bits, so nobody can try them all, and a fast hash is enough: slow hashes
(bcrypt, scrypt) protect passwords, which people choose and which can be guessed. For the same
reason the file is no secret: from a SHA-256 nobody finds a random key.
"""

import argparse
import base64
import binascii
import hashlib
import hmac
import ipaddress
import logging
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Iterable
from pathlib import Path

from service.errors import OperatorError, write_command

log = logging.getLogger("service")

HEADER = "X-Api-Key"
_HEADER_NAME = HEADER.lower().encode()
_PREFIX = "msk_"  # "model service key": programs that search code for secrets can know it by this
_LINE = re.compile(r"([\w.@-]{1,64})\s+([0-9a-f]{64})")
_CHECK_S = 1.0


def make_key() -> str:
    """Return a new random key."""
    return _PREFIX + secrets.token_urlsafe(32)


def hash_key(key: str) -> str:
    """Return what the file holds of a key: its SHA-256 in hexadecimal digits."""
    return hashlib.sha256(key.encode()).hexdigest()


class KeyFile:
    """The keys of a file. A changed file is read again within a second, without a restart."""

    def __init__(self, path: Path) -> None:
        """Read the file.

        Raises:
            OperatorError: it cannot be read, a line is no name and hash, or there is no key.
        """
        self._path = path
        self._stamp, self._hashes = self._look(), read_keys(path)
        self._checked = time.monotonic()
        if not self._hashes:
            raise OperatorError(f"{path} holds no key: expected at least one. {_make_one(path)}")

    def identify(self, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """Return the name of the key that a request carries, or None.

        It is a bearer token, or the password of a browser's prompt, or in the header `X-Api-Key`.
        """
        self._renew()
        given = None
        for name, value in headers:
            if name == b"authorization":
                given = _read_authorization(value)
            elif name == _HEADER_NAME:
                given = value
        if given is None:
            return None
        digest, found = hashlib.sha256(given).hexdigest(), None
        for name_of_key, expected in self._hashes.items():  # all of them: in constant time
            if hmac.compare_digest(digest, expected):
                found = name_of_key
        return found

    def _renew(self) -> None:
        now = time.monotonic()
        if now - self._checked < _CHECK_S:
            return
        self._checked = now
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._hashes = read_keys(self._path)
            log.info("keys     %s was read again: %d keys", self._path.name, len(self._hashes))
        except OperatorError as error:
            log.error("keys     the keys stay as they were: %s", error)

    def _look(self) -> tuple[int, int, int] | None:
        try:
            seen = self._path.stat()
        except OSError:
            return None
        return seen.st_mtime_ns, seen.st_ino, seen.st_size


def read_keys(path: Path) -> dict[str, str]:
    """Return the hash of each key by its name.

    Raises:
        OperatorError: the file cannot be read, or a line is no name and hash.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        raise OperatorError(
            f"--api-keys {path} cannot be read: {reason}. {_make_one(path)}"
        ) from None
    hashes: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        parts = _LINE.fullmatch(text)
        if parts is None or parts[1] in hashes:
            # The line may hold a key by mistake, so it is not repeated.
            fault = "is no name and SHA-256" if parts is None else "has the name of another key"
            raise OperatorError(
                f"line {number} of {path} {fault}: expected a name of its own, a space and 64 "
                f"hexadecimal digits. {_make_one(path)}"
            )
        hashes[parts[1]] = parts[2]
    return hashes


def check_keys(path: Path | None, console: bool, listener: socket.socket) -> None:
    """Refuse a start that would not protect what it should; before a model is loaded.

    Raises:
        OperatorError: the file cannot be used, or others could reach a console without a key.
    """
    if path is not None:
        KeyFile(path)
        return
    host = listener.getsockname()[0]
    if console and not ipaddress.ip_address(host.partition("%")[0]).is_loopback:
        raise OperatorError(
            f"--console shows the log, and {host} can be reached from elsewhere: expected "
            "--api-keys beside it. Name a file of keys, or listen on 127.0.0.1 (--host)"
        )


def _read_authorization(value: bytes) -> bytes | None:
    scheme, _, given = value.strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return given.strip()
    if scheme.lower() == b"basic":  # what a browser's prompt sends: the key is the password
        try:
            return base64.b64decode(given.strip(), validate=True).partition(b":")[2]
        except binascii.Error:
            return None
    return None


def _make_one(path: Path) -> str:
    return f"Make a key: {write_command('service.web.keys new')} NAME {path}"


def add_key(name: str, path: Path) -> str:
    """Add a new key to a file, which is created if there is none; returns the key.

    Raises:
        OperatorError: the name is not valid or taken, or the file cannot be written.
    """
    key = make_key()
    line = f"{name} {hash_key(key)}"
    if not _LINE.fullmatch(line):
        raise OperatorError(
            f"{name!r} is no name of a key: expected 1 to 64 letters, digits, or . _ @ -"
        )
    path, text = path.resolve(), ""
    if path.exists():
        if name in read_keys(path):
            raise OperatorError(
                f"{path} has a key {name} already: choose another name, or delete its line"
            )
        text = path.read_text(encoding="utf-8").rstrip("\n") + "\n"
    try:
        # Replaced in one step: a service must not read half of it.
        fresh = path.with_name(f".{path.name}.{os.getpid()}")
        fresh.write_text(f"{text.lstrip()}{line}\n", encoding="utf-8")
        fresh.replace(path)
    except OSError as error:
        raise OperatorError(
            f"{path} cannot be written: {error.strerror}. Name a file in a folder that you may "
            "write to"
        ) from None
    return key


def main(arguments: list[str] | None = None) -> int:
    """Make a key. Prints it to standard output; nothing else knows it afterwards."""
    parser = argparse.ArgumentParser(
        prog=write_command("service.web.keys"), description=main.__doc__
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    new = commands.add_parser("new", help="make a key, and add its name and hash to a file")
    new.add_argument("name", help="who or what will use it; the access log shows this name")
    new.add_argument("file", type=Path, help="the file of --api-keys; created if there is none")
    options = parser.parse_args(arguments)
    try:
        key = add_key(options.name, options.file)
    except OperatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(key)
    print(
        f"added {options.name} to {options.file}. The key is shown once: keep it. To revoke it, "
        "delete its line",
        file=sys.stderr,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
