"""Traces by OpenTelemetry: a span for each request, and one for each batch, linked to its requests.

The standard variables of OpenTelemetry apply, such as OTEL_TRACES_SAMPLER and OTEL_SERVICE_NAME
(opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables). Without a sampler among
them every request is traced, unless the caller's `traceparent` says that it is not.
"""

import logging
import time
from collections.abc import Sequence
from typing import Any

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanKind, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from service.loaded_model import LoadedModel
from service.runner.jobs import Job, RequestRecord

log = logging.getLogger("service")

_NAMES = {b"traceparent": "traceparent", b"tracestate": "tracestate"}
_CLOSE_MS = 3000
_EPOCH_NS = time.time_ns() - time.perf_counter_ns()
"""Nanoseconds between the clock of the records and that of spans."""


class Tracer:
    """Makes the spans of one process."""

    def __init__(self, processor: SpanProcessor, facts: dict[str, str]) -> None:
        """Send spans to `processor`; each batch's span has `facts` as attributes."""
        resource = Resource.create({SERVICE_NAME: facts["model.name"]}).merge(Resource.create())
        self._provider = TracerProvider(resource=resource)
        self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("service")
        self._propagator = TraceContextTextMapPropagator()
        self._facts = facts

    def begin(
        self, headers: list[tuple[bytes, bytes]], method: str, path: str, request_id: str
    ) -> Span:
        """Begin the span of a request, below the caller's span if its headers name one."""
        carrier = {
            _NAMES[name]: value.decode("latin-1") for name, value in headers if name in _NAMES
        }
        context = self._propagator.extract(carrier) if carrier else Context()
        span = self._tracer.start_span(f"{method} {path[:100]}", context, SpanKind.SERVER)
        if span.is_recording():
            span.set_attributes(
                {"http.request.method": method, "url.path": path, "request.id": request_id}
            )
        return span

    def name_span(self, span: Span) -> bytes:
        """Return the header `traceparent` that names a span (W3C Trace Context)."""
        context = span.get_span_context()
        return (
            f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
        ).encode()

    def end(self, record: RequestRecord, status: int, ended: float) -> None:
        """End the span of a request that was answered with `status`; 0: its client left."""
        span: Span = record.span
        if span.is_recording():
            span.set_attribute("http.response.status_code", status)
            if record.refusal:
                span.set_attribute("inference.refusal", record.refusal)
            if status >= 500:
                span.set_status(StatusCode.ERROR)
            if record.forwarded:
                span.set_attributes(
                    {
                        "inference.read_ms": (record.read - record.began) * 1000,
                        "inference.serialise_ms": (ended - record.forwarded) * 1000,
                    }
                )
        span.end(_to_epoch_ns(ended))

    def observe_batch(self, jobs: Sequence[Job], started: float, ended: float) -> None:
        """Make the span of a forward pass, linked to the spans of its requests. From any thread.

        Never raises: an error would end the worker that computes.
        """
        try:
            self._observe_batch(jobs, started, ended)
        except Exception:
            log.exception("trace    a batch has no span")

    def _observe_batch(self, jobs: Sequence[Job], started: float, ended: float) -> None:
        records = [job.record for job in jobs if job.record is not None]
        spans: list[Span] = [
            record.span
            for record in records
            if record.span is not None and record.span.is_recording()
        ]
        if not spans:
            return
        batch = self._tracer.start_span(
            "forward",
            set_span_in_context(spans[0]),  # sampled as its first request is
            attributes={**self._facts, "inference.batch_size": len(jobs)},
            links=[Link(span.get_span_context()) for span in spans],
            start_time=_to_epoch_ns(started),
        )
        for job in jobs:
            if job.record is not None and job.record.span in spans:
                job.record.span.set_attributes(
                    {
                        "inference.preprocess_ms": job.preprocess_s * 1000,
                        "inference.queue_ms": (started - job.arrived - job.preprocess_s) * 1000,
                        "inference.forward_ms": (ended - started) * 1000,
                    }
                )
                job.record.span.add_link(batch.get_span_context())
        batch.end(_to_epoch_ns(ended))

    def close(self) -> None:
        """Send what is left, for at most a few seconds."""
        self._provider.force_flush(_CLOSE_MS)
        self._provider.shutdown()


def open_tracer(endpoint: str, model: LoadedModel) -> Tracer:
    """Return a tracer that sends to a collector, and have the runner tell it of each batch.

    Args:
        endpoint: its address; "": that of the environment.
        model: what is served.
    """
    # Its own lines would be tracebacks, again and again, while the collector is away.
    logging.getLogger("opentelemetry").addFilter(_without_traceback)
    address: dict[str, Any] = {"endpoint": f"{endpoint.rstrip('/')}/v1/traces"} if endpoint else {}
    exporter = OTLPSpanExporter(**address, timeout=_CLOSE_MS / 1000)
    tracer = Tracer(
        BatchSpanProcessor(exporter),
        {
            "model.name": model.manifest.name,
            "model.version": model.manifest.version,
            "model.digest": model.bundle.digest,
        },
    )
    model.runner.observe_batch = tracer.observe_batch
    return tracer


def _without_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True


def _to_epoch_ns(seconds: float) -> int:
    return int(seconds * 1e9) + _EPOCH_NS
