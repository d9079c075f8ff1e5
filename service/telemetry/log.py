"""The log: lines for people or JSON objects, each with date, level and the request's id."""

import json
import logging
import sys
import time
import warnings
from typing import Any

from typing_extensions import override

from service.runner.jobs import RECORD, RequestRecord


class _TextFormatter(logging.Formatter):
    """A line for people; times are UTC."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s.%(msecs)03dZ %(levelname)-7s %(message)s", datefmt="%Y-%m-%dT%H:%M:%S"
        )

    @override
    def formatMessage(self, record: logging.LogRecord) -> str:
        request = _find_request(record)
        line = super().formatMessage(record)
        return line if request is None else f"{line} · request {request.id}"


class _JsonFormatter(_TextFormatter):
    """An object a line: time, level, message, the request's id, and what the record carries."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        shown: dict[str, Any] = {
            "time": f"{self.formatTime(record, self.datefmt)}.{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "message": record.getMessage(),
        }
        request = _find_request(record)
        if request is not None:
            shown["request_id"] = request.id
        step = getattr(record, "step", None)
        if step is not None:
            shown |= {"step": step.name, "ms": round(step.ms, 1)}
        shown |= getattr(record, "fields", {})
        if record.exc_info:
            shown["exception"] = self.formatException(record.exc_info)
        return json.dumps(shown, ensure_ascii=False, default=str)


def _find_request(record: logging.LogRecord) -> RequestRecord | None:
    """Return the request that a line is about: the current task's, unless the line says another."""
    named: RequestRecord | None = getattr(record, "request", RECORD.get())
    return named


def configure_log(log_format: str = "text") -> None:
    """Write log lines to standard error, "text" or "json", and silence what they repeat."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_JsonFormatter() if log_format == "json" else _TextFormatter())
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    root.handlers[:] = [handler]
    # uvicorn's own start and stop lines repeat ours.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    # What these say of a client's odd input, its answer says.
    logging.getLogger("python_multipart").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="PIL")
