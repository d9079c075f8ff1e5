"""Read and write a language's catalogue, `learner/catalogues/CODE.po`.

Babel reads it. Babel's writer is not used: it breaks the previous text of a fuzzy message at spaces
and drops lines of it that occur twice, and its header contains the time and the tool.
"""

import fcntl
import os
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, denormalize, escape, normalize, read_po

from authoring.translations.messages import Entry, Message, SourceError
from learner.language import CATALOGUES, LANGUAGES
from learner.paths import write_atomically

TRANSLATED = tuple(code for code in LANGUAGES if code != "en")
WIDTH = 100
PREVIOUS = "| msgid "


def path_of(code: str, folder: Path = CATALOGUES) -> Path:
    """Return the path of a language's catalogue."""
    return folder / f"{code}.po"


@contextmanager
def lock(folder: Path = CATALOGUES) -> Iterator[None]:
    """Hold the exclusive lock of `folder`'s catalogues; wait until it is free.

    The folder is locked, because the files are replaced and a lock on them would not hold.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def read(code: str, folder: Path = CATALOGUES) -> list[Entry]:
    """Return all entries of a language's catalogue; none if it does not exist yet.

    Raises:
        SourceError: the file is not a catalogue; the message contains the line.
    """
    path = path_of(code, folder)
    content = path.read_bytes() if path.exists() else b""
    return parse(content, code, path.name)


def parse(content: bytes, code: str, name: str = "the catalogue") -> list[Entry]:
    """Return the entries in a catalogue's content.

    Raises:
        SourceError: the content is not a catalogue; the message contains the line.
    """
    # Editors write a byte order mark, and keep entries that are no longer used, which Babel cannot
    # always read (`#~|`). Blank lines keep the numbers of the others.
    lines = content.removeprefix(BOM_UTF8).split(b"\n")
    clean = b"\n".join(b"" if line.startswith(b"#~") else line for line in lines)
    try:
        catalogue: Catalog = read_po(BytesIO(clean), locale=code, abort_invalid=True)
    except (PoFileError, UnicodeDecodeError) as error:
        line = getattr(error, "lineno", None)
        at = "" if line is None else f", line {line + 1}"
        raise SourceError(f"{name}{at}: {error}") from None
    entries = []
    for item in catalogue:
        if not item.id:
            continue
        if not isinstance(item.id, str) or not isinstance(item.string, str):
            raise SourceError(f"{name}: plural forms are not supported: {item.id!r}")
        comments = item.user_comments
        starts = [n for n, line in enumerate(comments) if line.startswith(PREVIOUS)]
        previous = [
            line.removeprefix(PREVIOUS).removeprefix("| ")
            for line in comments[slice(starts[0], None) if starts else slice(0)]
            if line.startswith((PREVIOUS, '| "'))
        ]
        entries.append(
            Entry(
                Message(item.id, item.context, tuple(file for file, _line in item.locations)),
                item.string,
                item.fuzzy,
                denormalize("\n".join(previous)) if previous else "",
                tuple(line for line in item.user_comments if not line.startswith("|")),
            )
        )
    return entries


def render(entries: Iterable[Entry], code: str) -> bytes:
    """Return the content of a catalogue. The same entries give the same bytes."""
    plural = Catalog(locale=code).plural_forms
    header = (
        f"Language: {code}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=UTF-8\n"
        f"Content-Transfer-Encoding: 8bit\nPlural-Forms: {plural}\n"
    )
    parts = [f'msgid ""\nmsgstr {normalize(header, width=WIDTH)}\n']
    for entry in entries:
        lines = [f"# {comment}".rstrip() for comment in entry.comments]
        # gettext encloses a file name with spaces in these characters.
        lines += [
            f"#: \u2068{file}\u2069" if " " in file else f"#: {file}"
            for file in entry.message.files
        ]
        if entry.state == "fuzzy":
            lines += ["#, fuzzy", f"#| msgid {escape(entry.previous)}"]
        if entry.message.context is not None:
            lines.append(f"msgctxt {escape(entry.message.context)}")
        lines.append(f"msgid {normalize(entry.message.text, width=WIDTH)}")
        lines.append(f"msgstr {normalize(entry.translation, width=WIDTH)}")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts).encode()


def write(entries: Iterable[Entry], code: str, folder: Path = CATALOGUES) -> None:
    """Replace a language's catalogue atomically, if anything changed. Call it within `lock`."""
    write_file(path_of(code, folder), render(entries, code))


def write_file(path: Path, content: bytes) -> bool:
    """Replace a file atomically, if its content differs; return whether it did."""
    if path.exists() and path.read_bytes() == content:
        return False
    write_atomically(path, content)
    return True
