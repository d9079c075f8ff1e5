"""Every error as the same JSON, `{"error": "…"}`, with the status that fits. In one place."""

from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from service.errors import RequestError
from service.preprocessing import ImageError, ImageTooLargeError, UnsupportedImageError


def answer_errors_as_json(app: FastAPI) -> None:
    """Register the handlers."""

    @app.exception_handler(ClientDisconnect)
    async def client_left(_: Request, __: ClientDisconnect) -> JSONResponse:
        return _json(400, "the client left before its request was complete")  # nobody reads it

    @app.exception_handler(RequestError)
    async def request_error(_: Request, error: RequestError) -> JSONResponse:
        return _json(error.status, error.message)

    @app.exception_handler(ImageError)
    async def image_error(_: Request, error: ImageError) -> JSONResponse:
        return _json(_status(error), str(error))

    @app.exception_handler(RequestValidationError)
    async def invalid_parameter(_: Request, error: RequestValidationError) -> JSONResponse:
        faults = (
            f"{fault['loc'][-1]}={_shorten(repr(fault.get('input')))} is not valid: {fault['msg']}"
            for fault in error.errors()
        )
        return _json(422, "; ".join(faults))

    @app.exception_handler(HTTPException)
    async def http_error(request: Request, error: HTTPException) -> JSONResponse:
        route = f"{request.method} {_shorten(request.url.path)}"
        message = f"{route}: {error.detail}; see /openapi.json for what there is"
        return _json(error.status_code, message, error.headers)

    @app.exception_handler(Exception)
    async def fault_of_ours(_: Request, error: Exception) -> JSONResponse:
        # Starlette raises the exception again behind this answer, and uvicorn logs it.
        return _json(500, "the service failed on this request; its log says why")


def _shorten(text: str) -> str:
    """What a client sent, for repeating it to them."""
    return text if len(text) <= 100 else f"{text[:100]}…"


def _status(error: ImageError) -> int:
    match error:
        case ImageTooLargeError():
            return 413
        case UnsupportedImageError():
            return 415
        case _:
            return 422


def _json(status: int, message: str, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": message}, status, headers)
