"""The image of a request: a raw body, or the part `file` of a form. Nothing is decoded here."""

import asyncio
from collections.abc import AsyncGenerator

from fastapi import Request
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect

from service.errors import RequestError
from service.preprocessing import ACCEPTED

FIELD = "file"
_FORM = "multipart/form-data"
# What a client says when it does not say what it sends: curl's --data-binary, or nothing at all.
_UNSPECIFIC = {"", "application/octet-stream", "application/x-www-form-urlencoded"}


async def read_image(request: Request) -> bytes:
    """The bytes of the image file that a request carries, at most `max_body_bytes`.

    The type that counts is the one that the bytes show (`preprocessing`); the header is only asked
    whether this is a form, and refused if it names something that is no image at all.

    Raises:
        RequestError: 400 for an empty body, 408 for one that does not come, 413 for one over the
            limit, 415 for a type that is no image, 422 for a form without the one file.
    """
    limit: int = request.app.state.settings.max_body_bytes
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if media_type == _FORM:
        data = await _read_form(request, limit)
    elif media_type in _UNSPECIFIC or media_type.startswith("image/"):
        data = await _read_body(request, limit)
    else:
        raise RequestError(
            415,
            f"the content type {media_type!r} is not accepted; send the image itself as the body "
            f"(image/jpeg, image/png or image/webp), or a form ({_FORM}) with the file "
            f"in the field {FIELD!r}",
        )
    if not data:
        raise RequestError(400, f"the image is empty; send a {ACCEPTED} file")
    return data


async def _read_body(request: Request, limit: int) -> bytes:
    """The whole body, cut off as soon as it is known to be over the limit.

    Not by `request.stream()`, for this is the hot path: no generators, one coroutine.
    """
    fault = RequestError(413, f"the body is larger than {limit:,} bytes; send a smaller image")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limit:
        raise fault
    chunks: list[bytes] = []
    received = 0
    seconds: float = request.app.state.settings.body_seconds
    try:
        async with asyncio.timeout(seconds):
            more = True
            while more:
                message = await request.receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                chunk = message.get("body", b"")
                received += len(chunk)
                if received > limit:
                    raise fault
                chunks.append(chunk)
                more = message.get("more_body", False)
    except TimeoutError:
        raise RequestError(
            408,
            f"the body was not complete after {seconds:g} s ({received:,} bytes); send it again",
        ) from None
    return b"".join(chunks)


async def _read_form(request: Request, limit: int) -> bytes:
    if b"boundary" not in parse_options_header(request.headers["content-type"])[1]:
        raise RequestError(
            422,
            f"the form cannot be read: its content type names no boundary; see RFC 7578. "
            f"Send one image in the field {FIELD!r}",
        )
    parser = MultiPartParser(
        request.headers,
        _once(await _read_body(request, limit)),
        max_files=1,
        max_fields=8,
        max_part_size=limit,
    )
    # Below the limit the file stays in memory; otherwise a request would touch the disk.
    parser.spool_max_size = limit
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:
        raise RequestError(
            422, f"the form cannot be read: {error}; send one image in the field {FIELD!r}"
        ) from None
    try:
        return await _file_of(form)
    finally:
        await form.close()


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body


async def _file_of(form: FormData) -> bytes:
    part = form.get(FIELD)
    if part is None:
        found = ", ".join(repr(name) for name in form) or "none"
        raise RequestError(
            422,
            f"the form has no field {FIELD!r} (found: {found}); send the image in it, "
            "and the form to its end",
        )
    if isinstance(part, str):
        raise RequestError(
            422, f"the field {FIELD!r} holds text; send it as a file, with a file name"
        )
    return await part.read()
