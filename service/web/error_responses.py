"""Every error as the same JSON, `{"error": "…"}`, with the status that fits. In one place."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from service.errors import OverloadedError, RequestError, shorten
from service.preprocessing import ImageError, ImageTooLargeError, UnsupportedImageError


def answer_errors_as_json(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(RequestError)
    @app.exception_handler(ImageError)
    async def request_error(_: Request, error: RequestError | ImageError) -> JSONResponse:
        return error_response(error)

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        route = f"{request.method} {shorten(request.url.path)}"
        message = f"{route}: {error.detail}; see /openapi.json for what there is"
        return _json(error.status_code, message, error.headers)

    @app.exception_handler(Exception)
    async def fault_of_ours(_: Request, error: Exception) -> JSONResponse:
        # Starlette raises the exception again behind this answer, and uvicorn logs it.
        return _json(500, "the service failed on this request; its log says why")


def error_response(error: RequestError | ImageError) -> JSONResponse:
    """The answer to a request that cannot be served."""
    match error:
        case OverloadedError():
            return _json(503, error.message, {"retry-after": str(error.retry_after)})
        case RequestError():
            return _json(error.status, error.message)
        case ImageTooLargeError():
            return _json(413, str(error))
        case UnsupportedImageError():
            return _json(415, str(error))
        case _:
            return _json(422, str(error))


def _json(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers)
