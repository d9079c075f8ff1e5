"""Traces: a span a request, one a batch, and how they are linked and sent."""

import asyncio
import gzip
import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import httpx2 as httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import INVALID_SPAN

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.runner.jobs import RECORD, RequestRecord
from service.settings import ROOT
from service.telemetry.tracing import Tracer
from tests.conftest import ServiceProcess, refuse_start, wait_until
from tests.service.engines_for_tests import CountingEngine, GatedEngine
from tests.service.test_inference_runner import running, until

PHOTO = SAMPLE_PHOTOS[0].read()
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0"
Start = Callable[..., ServiceProcess]


@pytest.fixture
def spans() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def tracer(spans: InMemorySpanExporter) -> Iterator[Tracer]:
    tracer = Tracer(SimpleSpanProcessor(spans), {"model.name": "m", "model.digest": "d"})
    yield tracer
    tracer.close()


def begin(tracer: Tracer, parent: str | None = None) -> RequestRecord:
    headers = [(b"traceparent", parent.encode())] if parent else []
    record = RequestRecord("id", began=1.0)
    record.span = tracer.begin(headers, "POST", "/predict", "id")
    return record


def test_span_continues_the_callers_trace(tracer: Tracer, spans: InMemorySpanExporter) -> None:
    sampled, unsampled, own = (
        begin(tracer, f"{PARENT}1"),
        begin(tracer, f"{PARENT}0"),
        begin(tracer),
    )
    for record in (sampled, unsampled, own):
        tracer.end(record, 200, 2.0)
    assert re.fullmatch(
        rb"00-0af7651916cd43dd8448eb211c80319c-[0-9a-f]{16}-01", tracer.name_span(sampled.span)
    )
    assert tracer.name_span(unsampled.span).endswith(b"-00")
    below, root = spans.get_finished_spans()  # the caller did not want the other one
    assert below.parent is not None
    assert below.parent.span_id == 0xB7AD6B7169203331
    assert root.parent is None
    assert root.context.trace_id != below.context.trace_id
    assert (root.name, root.attributes["http.response.status_code"]) == ("POST /predict", 200)  # type: ignore[index]


def test_header_that_names_no_span_is_ignored(tracer: Tracer, spans: InMemorySpanExporter) -> None:
    tracer.end(begin(tracer, "00-nonsense"), 500, 2.0)
    (span,) = spans.get_finished_spans()
    assert span.parent is None
    assert not span.status.is_ok


def test_batch_is_linked_to_its_requests(tracer: Tracer, spans: InMemorySpanExporter) -> None:
    engine = GatedEngine()
    with running(engine) as runner:
        runner.observe_batch = tracer.observe_batch

        async def ask(value: int) -> None:
            record = begin(tracer, f"{PARENT}{value % 2}")
            RECORD.set(record)
            await runner.classify(bytes([value]))
            tracer.end(record, 200, record.forwarded)

        async def ask_all() -> None:
            first = asyncio.create_task(ask(1))
            await until(lambda: len(engine.batches) == 1)
            others = [asyncio.create_task(ask(value)) for value in range(2, 6)]
            await until(lambda: len(runner._ready) == 4)
            engine.gate.set()
            await asyncio.gather(first, *others)

        asyncio.run(ask_all())
    finished = spans.get_finished_spans()
    requests = [span for span in finished if span.name == "POST /predict"]
    alone, batch = [span for span in finished if span.name == "forward"]
    assert len(requests) == 3  # 1, 3 and 5: the callers of 2 and 4 do not want a trace
    assert (size_of(alone), size_of(batch)) == (1, 4)
    assert members(alone) | members(batch) == {span.context.span_id for span in requests}
    assert len(members(batch)) == 2
    for span in requests:
        assert members(span) <= {alone.context.span_id, batch.context.span_id}
        assert len(members(span)) == 1
        assert {"inference.queue_ms", "inference.forward_ms"} <= set(span.attributes or ())


def test_error_in_a_trace_costs_no_answer(
    tracer: Tracer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(tracer, "_tracer", SimpleNamespace(start_span=fail))
    record = RequestRecord("id", began=1.0, span=INVALID_SPAN)
    monkeypatch.setattr(INVALID_SPAN, "is_recording", lambda: True, raising=False)
    with running(CountingEngine()) as runner:
        runner.observe_batch = tracer.observe_batch

        async def ask() -> float:
            RECORD.set(record)
            return float((await runner.classify(b"x")).probabilities[0])

        assert asyncio.run(ask()) == ord("x")
    assert "a batch has no span" in caplog.text


def size_of(span: ReadableSpan) -> object:
    return (span.attributes or {})["inference.batch_size"]


def members(span: ReadableSpan) -> set[int]:
    return {link.context.span_id for link in span.links}


class Collector(BaseHTTPRequestHandler):
    """A collector that keeps what it receives."""

    received: list[ExportTraceServiceRequest]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        assert self.path == "/v1/traces"
        self.received.append(ExportTraceServiceRequest.FromString(body))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def collector() -> Iterator[tuple[str, list[ExportTraceServiceRequest]]]:
    handler = type("Handler", (Collector,), {"received": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_port}", handler.received  # type: ignore[attr-defined]
        server.shutdown()


def test_spans_reach_a_collector(
    start_service: Start, collector: tuple[str, list[ExportTraceServiceRequest]]
) -> None:
    endpoint, received = collector
    service = start_service(
        *("--trace-endpoint", endpoint, "--log-format", "json", "--drain-seconds", "0"),
        environment={**os.environ, "OTEL_SERVICE_NAME": "photos", "NO_PROXY": "127.0.0.1"},
    )
    service.wait_for('"step": "ready"')
    url = re.findall(r"http://127\.0\.0\.1:\d+", service.wait_for('"step": "ready"'))[0]
    answer = httpx.post(f"{url}/predict", content=PHOTO, headers={"traceparent": f"{PARENT}1"})
    assert answer.status_code == 200
    assert answer.headers["traceparent"].startswith(PARENT[:36])
    assert "traceparent" not in httpx.get(f"{url}/livez").headers
    service.wait_for('"trace_id": "0af7651916cd43dd8448eb211c80319c"')
    assert service.stop() == 0  # and what was not sent yet is sent
    wait_until(lambda: bool(received))
    scoped = [scope for sent in received for scope in sent.resource_spans]
    names = {span.name for one in scoped for scope in one.scope_spans for span in scope.spans}
    assert names == {"POST /predict", "forward"}
    attributes = {one.key: one.value.string_value for one in scoped[0].resource.attributes}
    assert attributes["service.name"] == "photos"


def test_collector_that_is_away_costs_no_answer(start_service: Start) -> None:
    service = start_service("--trace-endpoint", "http://127.0.0.1:9", "--drain-seconds", "0")
    url = service.url
    for _ in range(3):
        assert httpx.post(f"{url}/predict", content=PHOTO).status_code == 200
    assert service.stop() == 0
    assert "Traceback" not in service.log.read_text()


def test_without_opentelemetry_a_line_says_what_to_do() -> None:
    line = refuse_start("--trace-endpoint", "127.0.0.1:4318")
    assert "setting --trace-endpoint (SERVICE_TRACE_ENDPOINT) is '127.0.0.1:4318'" in line
    script = (
        "import sys; sys.modules['opentelemetry.sdk'] = None\n"
        "from service.settings import Settings\n"
        "from service.telemetry import start_tracing\n"
        "start_tracing(Settings(trace_endpoint='http://127.0.0.1:9'), None)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT)
    assert "OperatorError: traces need OpenTelemetry" in done.stderr
    assert "Install the extra `tracing`" in done.stderr
