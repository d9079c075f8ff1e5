"""A start that can be trusted: verify, match, load, warm up, replay; each step one log line.

Nothing of the artifact is deserialised before all of it is hashed, and nothing is served before
the golden photos give the answers that were recorded when the model was validated.
"""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from prometheus_client.registry import Collector

from service.artifact.manifest import Manifest
from service.artifact.replay import replay
from service.artifact.verify import check_code, environment_differences, verify
from service.engines import BF16, FORMS, load_engine
from service.engines.base import Engine, Form
from service.errors import StartupError
from service.front_ends.remote_model import attach
from service.front_ends.worker_config import inherited
from service.gpu.boxes import boxed_by
from service.gpu.plan import (
    BucketedEngine,
    choose_device_layout,
    interval_s,
    measure_buckets,
)
from service.inference_runner import InferenceRunner
from service.loaded_model import LoadedModel
from service.machine import available_cores, gpu_count, return_freed_memory, use_huge_pages
from service.preprocessing import Pixels, preprocess
from service.runner.admission import Admission
from service.runner.plan import (
    batching_pays,
    choose_layout,
    measure_batches,
)
from service.settings import Settings

log = logging.getLogger("service")


def load_model(settings: Settings) -> LoadedModel:
    """Take the artifact that `settings` name through every check, and load it once.

    Raises:
        StartupError: whatever does not match; the message says what, expected, found, what to do.
    """
    if (seat := inherited()) is not None:
        return attach(settings, seat)
    milliseconds: dict[str, float] = {}

    @contextmanager
    def step(name: str) -> Iterator[Callable[[str], None]]:
        started = time.perf_counter()
        words: list[str] = []
        yield words.append
        milliseconds[name] = (time.perf_counter() - started) * 1000
        log.info("%-8s %s · %.0f ms", name, *words, milliseconds[name])

    with step("verify") as say:
        bundle = verify(settings.artifact, settings.artifact_digest)
        manifest = bundle.manifest
        say(
            f"artifact {manifest.name} {manifest.version}: {len(manifest.files)} files, "
            f"{bundle.size / 1e6:.1f} MB, all hashes as recorded, digest {bundle.digest[:12]}"
        )

    form, device = _choose(settings, manifest)
    with step("match") as say:
        check_code(bundle, form)
        differences = environment_differences(manifest, form.packages)
        _judge(differences, settings)
        say("code and environment " + ("differ" if differences else "are the validated ones"))

    path = bundle.path / manifest.forms[form.name].file
    cores = available_cores()
    threads = settings.threads or 1
    with step("load") as say, _engine_faults(form, device):
        engine = _load(form, path, device, threads)
        say(f"{form.name} by {engine.runtime} on {device}")

    with step("warm-up") as say, _engine_faults(form, device):
        side = manifest.preprocessing.crop
        most_ms = settings.target_ms / 2  # the rest is for waiting and preprocessing
        if isinstance(engine, BucketedEngine):
            costs = measure_buckets(engine, (side, side, 3), most_ms)
            layout = choose_device_layout(costs, engine, cores, most_ms)
        else:
            costs = measure_batches(engine, (side, side, 3), most_ms)
            if settings.threads is None and device == "cpu" and cores > 1 and batching_pays(costs):
                threads = cores
                engine = _load(form, path, device, threads)
                costs = measure_batches(engine, (side, side, 3), most_ms)
            layout = choose_layout(costs, cores, threads, most_ms)
        say(
            ", ".join(f"batch {size}: {cost:.1f} ms" for size, cost in costs.items())
            + f" → {layout.lanes} lanes of {threads} threads, batches up to {layout.max_batch}"
        )

    with step("replay") as say, _engine_faults(form, device):
        largest, preprocess_s = replay(bundle, form, engine)
        photos = manifest.forms[form.name].golden
        say(f"{len(photos)} golden photos, largest difference of a probability {largest:.1e}")

    return_freed_memory()
    use_huge_pages()
    service_s = preprocess_s + costs[1] / 1000
    if isinstance(engine, BucketedEngine):
        between_s = interval_s(costs, layout, engine.devices, preprocess_s, cores)
    elif layout.max_batch == 1:
        between_s = service_s / layout.lanes
    else:  # preprocessing and the device work side by side: the slower one counts
        per_image_s = costs[layout.max_batch] / layout.max_batch / 1000
        between_s = max(preprocess_s / cores, per_image_s)
    served, prepare = _with_decoding(engine, settings, manifest)
    runner = InferenceRunner(
        served,
        prepare,
        layout,
        Admission(settings.target_ms / 1000, service_s, between_s, layout.lanes),
        settings.max_requests,
        settings.dedicated,
    )
    return LoadedModel(
        bundle=bundle,
        form=form,
        runner=runner,
        threads=threads,
        environment_differences=differences,
        startup_ms=milliseconds,
        gpu_metrics=_gpu_metrics(engine),
    )


def _with_decoding(
    engine: Engine, settings: Settings, manifest: Manifest
) -> tuple[Engine, Callable[[bytes], Pixels]]:
    """What the runner runs, and what it does to each file first."""
    prepare = partial(preprocess, settings=manifest.preprocessing, max_pixels=settings.max_pixels)
    if not isinstance(engine, BucketedEngine):
        return engine, prepare
    if settings.decode == "cpu":
        return engine, boxed_by(prepare)
    from service.gpu.engine import DeviceEngine
    from service.gpu.jpeg import BatchDecoding

    assert isinstance(engine, DeviceEngine)
    decoding = BatchDecoding(engine, manifest.preprocessing, settings.max_pixels)
    return decoding, decoding.check


def _gpu_metrics(engine: Engine) -> Collector | None:
    if not isinstance(engine, BucketedEngine):
        return None
    from service.gpu.engine import DeviceEngine
    from service.gpu.metrics import gpu_metrics_of

    return gpu_metrics_of(engine) if isinstance(engine, DeviceEngine) else None


def _choose(settings: Settings, manifest: Manifest) -> tuple[Form, str]:
    """Which form runs where: the manifest's default on a CPU, torch if there is a GPU."""
    name = settings.engine
    on_gpu = [other for other in manifest.forms if FORMS[other].needs_torch]
    if settings.device == "cpu":
        obstacle: str | None = "a CPU was asked for"
    elif name != "auto" and name not in on_gpu and settings.device == "auto":
        obstacle = "the form that was asked for runs on a CPU only"
    else:
        obstacle = _obstacle_to_gpu()
    if settings.device == "cuda" and obstacle:
        raise StartupError(
            f"device cuda: expected an NVIDIA GPU that torch can use, found that {obstacle}. "
            "Serve on the CPU (--device cpu) or mend that"
        )
    if name == "auto":
        best_on_gpu = BF16 if BF16 in on_gpu else next(iter(on_gpu), None)
        name = best_on_gpu if best_on_gpu and not obstacle else manifest.default_form
    if name not in manifest.forms:
        raise StartupError(
            f"engine {name}: the artifact holds no such form, only {', '.join(manifest.forms)}. "
            f"Choose one of them, or build it: python -m service.artifact build --forms {name}"
        )
    form = FORMS[name]
    if settings.device == "cuda" and not form.needs_torch:
        raise StartupError(
            f"engine {name} runs on a CPU only: expected a form of torch for device cuda. "
            "Choose --engine eager or --device cpu"
        )
    return form, "cuda" if form.needs_torch and not obstacle else "cpu"


def _obstacle_to_gpu() -> str | None:
    """Why torch cannot compute on a GPU here, or None if it can.

    torch is imported only where the driver shows a GPU: its import costs a second.
    """
    if not gpu_count():
        return "the driver shows none"
    from service.gpu.diagnosis import gpu_facts, obstacle_of

    try:
        obstacle = obstacle_of(gpu_facts())
    except ImportError:
        obstacle = "there is one, but torch is not installed"
    if obstacle is None:
        return None
    log.warning("match    %s; serving on the CPU", obstacle)
    return obstacle


def _judge(differences: list[str], settings: Settings) -> None:
    if not differences:
        return
    found = "; ".join(differences)
    if settings.environment == "strict":
        raise StartupError(
            f"this is not the environment that the artifact was validated in: {found}. "
            "Install the locked one (make setup), validate in this one "
            "(python -m service.artifact build), or accept it (--environment warn)"
        )
    log.warning("match    environment differs: %s", found)


def _load(form: Form, path: Path, device: str, threads: int) -> Engine:
    if form.needs_torch:
        from service.engines.torch_versions import check_torch_pair

        check_torch_pair()
    return load_engine(form, path, device, threads)


@contextmanager
def _engine_faults(form: Form, device: str) -> Iterator[None]:
    """Whatever a runtime trips over (memory, a driver, an unknown format) becomes one line."""
    try:
        yield
    except StartupError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise StartupError(
            f"form {form.name} does not run on {device}: {reason[0]}. "
            "Choose another form (--engine) or device (--device), or build the artifact again"
        ) from error
