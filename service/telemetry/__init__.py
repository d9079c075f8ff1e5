"""What an operator sees: metrics, log, traces. Each is imported only where it is asked for."""

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from service.loaded_model import LoadedModel
    from service.settings import Settings
    from service.telemetry.tracing import Tracer

_ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")


def start_tracing(settings: "Settings", model: "LoadedModel") -> "Tracer | None":
    """Return what makes spans, or None if neither setting nor environment names a collector.

    Raises:
        OperatorError: OpenTelemetry is not installed.
    """
    if not settings.trace_endpoint and not any(os.environ.get(name) for name in _ENDPOINTS):
        return None
    from service.errors import OperatorError

    try:
        from service.telemetry.tracing import open_tracer
    except ImportError as error:
        raise OperatorError(
            f"traces need OpenTelemetry: {error.name} is not installed. Install the extra "
            "`tracing`, or leave out --trace-endpoint and OTEL_EXPORTER_OTLP_ENDPOINT"
        ) from None
    return open_tracer(settings.trace_endpoint, model)
