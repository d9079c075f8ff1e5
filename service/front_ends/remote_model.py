"""A model that another process has loaded, in the place of one loaded here."""

import os
import time
from functools import partial

from service.artifact.replay import replay
from service.artifact.verify import read_bundle
from service.engines import FORMS
from service.errors import DeviceLostError, OperatorError
from service.front_ends.remote_engine import RemoteEngine
from service.front_ends.shared_counters import Board, publish_regularly
from service.front_ends.worker_config import Seat
from service.gpu.boxes import boxed_by
from service.gpu.metrics import GpuCollector, nvml_of
from service.inference_runner import InferenceRunner
from service.loaded_model import LoadedModel, Shared
from service.machine import available_cores
from service.preprocessing import preprocess
from service.runner.admission import Admission
from service.runner.plan import Layout
from service.settings import Settings


def attach(settings: Settings, seat: Seat) -> LoadedModel:
    """Connect to the device's owner, and see that the golden photos come back right.

    Nothing is verified or measured again: the owner did both, moments ago.

    Raises:
        OperatorError: the bundle is another one now, or the answers are not right.
    """
    started = time.perf_counter()
    bundle = read_bundle(settings.artifact, seat.digest)
    form = FORMS[seat.form]
    engine = RemoteEngine(seat)
    try:
        replay(bundle, form, engine)
    except DeviceLostError as error:
        raise OperatorError(str(error)) from None
    prepare = partial(
        preprocess, settings=bundle.manifest.preprocessing, max_pixels=settings.max_pixels
    )
    decoders = max(1, available_cores() // seat.of)
    layout = Layout(decoders + engine.lanes, lanes=engine.lanes, max_batch=seat.shape.images)
    runner = InferenceRunner(
        engine,
        boxed_by(prepare),
        layout,
        Admission(settings.target_ms / 1000, seat.service_s, seat.interval_s, layout.lanes),
        -(-settings.max_requests // seat.of),
        settings.dedicated,
    )
    board = Board(seat.board, seat.of, seat.buckets)
    os.close(seat.board)
    publish_regularly(lambda: board.publish_counters(seat.number, runner.counters))
    return LoadedModel(
        bundle=bundle,
        form=form,
        runner=runner,
        threads=1,
        environment_differences=seat.environment_differences,
        startup_ms={"attach": (time.perf_counter() - started) * 1000},
        gpu_metrics=GpuCollector(board, nvml_of(seat.uuids)),
        shared=Shared(board.all_counters, seat.owner),
    )
