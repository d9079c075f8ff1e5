"""The image in a form (`multipart/form-data`, RFC 7578), which browsers and some clients send."""

from collections.abc import AsyncGenerator

from python_multipart.multipart import parse_options_header
from starlette.datastructures import Headers
from starlette.formparsers import MultiPartException, MultiPartParser

from service.errors import RequestError
from service.web.predict_route import FIELD


async def read_file(headers: Headers, body: bytes) -> bytes:
    """Return the content of the part `file`.

    Args:
        headers: of the request; its content type names the boundary.
        body: the whole form.

    Raises:
        RequestError: 422, it is no form, or not one with the one file.
    """
    if b"boundary" not in parse_options_header(headers["content-type"])[1]:
        raise RequestError(
            422,
            f"the form cannot be read: its content type names no boundary; see RFC 7578. "
            f"Send one image in the field {FIELD!r}",
        )
    most = len(body)
    parser = MultiPartParser(headers, _once(body), max_files=1, max_fields=8, max_part_size=most)
    # The file stays in memory; otherwise a request would touch the disk.
    parser.spool_max_size = most
    try:
        form = await parser.parse()
    except (MultiPartException, UnicodeError) as error:
        raise RequestError(
            422, f"the form cannot be read: {error}; send one image in the field {FIELD!r}"
        ) from None
    try:
        part = form.get(FIELD)
        if part is None:
            fields = ", ".join(repr(name) for name in form) or "none"
            raise RequestError(
                422,
                f"the form has no field {FIELD!r} (found: {fields}); send the image in it, "
                "and the form to its end",
            )
        if isinstance(part, str):
            raise RequestError(
                422, f"the field {FIELD!r} holds text; send it as a file, with a file name"
            )
        return await part.read()
    finally:
        await form.close()


async def _once(body: bytes) -> AsyncGenerator[bytes, None]:
    yield body
