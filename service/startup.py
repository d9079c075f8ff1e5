"""A start that can be trusted: verify, match, load, warm up, replay; each step one log line.

Nothing of the artifact is deserialised before all of it is hashed, and nothing is served before
the golden photos give the answers that were recorded when the model was validated.
"""

import importlib
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from service.artifact.manifest import Manifest
from service.artifact.verify import environment_differences, replay, verify
from service.engines import BF16, FORMS, load_engine
from service.engines.base import Form
from service.errors import OperatorError, write_command
from service.inference_runner import InferenceRunner
from service.loaded_model import LoadedModel, Step
from service.runner.admission import Admission
from service.runner.plan import Plan
from service.settings import Settings

log = logging.getLogger("service")


def load_model(settings: Settings) -> LoadedModel:
    """Take the artifact that `settings` name through every check, and load it once.

    Raises:
        OperatorError: something does not match; says what, expected, found, what to do.
    """
    steps: list[Step] = []
    with _step(steps, "verify") as say:
        bundle = verify(settings.artifact, settings.artifact_digest)
        manifest = bundle.manifest
        if settings.verify_key is not None:
            from service.artifact.signing import check_signature

            check_signature(bundle, settings.verify_key)
        say(
            f"artifact {manifest.name} {manifest.version}: {len(manifest.files)} files, "
            f"{bundle.size / 1e6:.1f} MB, all hashes as recorded, digest {bundle.digest[:12]}"
        )
    form, device = _choose(settings, manifest)
    record = manifest.forms[form.name]
    with _step(steps, "match") as say:
        from service.artifact.code import check_code

        check_code(bundle, form)
        differences = environment_differences(manifest, form.packages)
        _judge(differences, settings)
        say("code and environment " + ("differ" if differences else "are the validated ones"))
    with _step(steps, "load") as say, _explain_engine_faults(form, device):
        load = partial(load_engine, form, bundle.file(record.file), device)
        engine = load(settings.threads or 1)
        say(f"{form.name} by {engine.runtime} on {device}")
    with _step(steps, "warm-up") as say, _explain_engine_faults(form, device):
        photos = [bundle.read(photo) for photo in record.golden]
        make_plan = importlib.import_module(form.planner).make_plan
        plan: Plan = make_plan(engine, load, manifest.preprocessing, photos, settings)
        say(plan.describe())
    with _step(steps, "replay") as say, _explain_engine_faults(form, device):
        largest = replay(bundle, form, plan.engine)
        say(f"{len(photos)} golden photos, largest difference of a probability {largest:.1e}")
    from service.runner.tuning import return_freed_memory, use_huge_pages

    return_freed_memory()
    use_huge_pages()
    runner = start_runner(plan, settings, settings.max_requests)
    return LoadedModel(bundle, form, plan, runner, differences, steps)


def start_runner(plan: Plan, settings: Settings, max_requests: int) -> InferenceRunner:
    """Start the threads that serve a plan, for at most `max_requests` at once."""
    target_s, lanes = settings.target_ms / 1000, plan.layout.lanes
    admission = Admission(target_s, plan.service_s, plan.interval_s, lanes)
    return InferenceRunner(
        plan.engine, plan.prepare, plan.layout, admission, max_requests, settings.dedicated
    )


@contextmanager
def _step(steps: list[Step], name: str) -> Iterator[Callable[[str], None]]:
    """Time one step; yields a function that takes its words. A failed step leaves no record."""
    started = time.perf_counter()
    words: list[str] = []
    yield words.append
    steps.append(Step(name, words[0], (time.perf_counter() - started) * 1000))
    steps[-1].log()


def _choose(settings: Settings, manifest: Manifest) -> tuple[Form, str]:
    """Choose form and device: the manifest's default on a CPU, torch if there is a GPU."""
    name = settings.engine
    on_gpu = [other for other in manifest.forms if FORMS[other].needs_torch]
    if settings.device == "cpu":
        obstacle: str | None = "a CPU was asked for"
    elif settings.device == "auto" and (name not in on_gpu if name != "auto" else not on_gpu):
        obstacle = "what was asked for runs on a CPU only"
    else:
        from service.gpu.diagnosis import explain_obstacle

        obstacle = explain_obstacle()
    if settings.device == "cuda" and obstacle:
        raise OperatorError(
            f"device cuda: expected an NVIDIA GPU that torch can use, found that {obstacle}. "
            "Serve on the CPU (--device cpu) or mend that"
        )
    if name == "auto":
        best_on_gpu = BF16 if BF16 in on_gpu else next(iter(on_gpu), None)
        name = best_on_gpu if best_on_gpu and not obstacle else manifest.default_form
    if name not in manifest.forms:
        raise OperatorError(
            f"engine {name}: the artifact holds no such form, only {', '.join(manifest.forms)}. "
            "Choose one of them, or build it: "
            + write_command(f"service.artifact build --forms {name}")
        )
    form = FORMS[name]
    if settings.device == "cuda" and not form.needs_torch:
        raise OperatorError(
            f"engine {name} runs on a CPU only: expected a form of torch for device cuda. "
            "Choose --engine eager or --device cpu"
        )
    return form, "cuda" if form.needs_torch and not obstacle else "cpu"


def _judge(differences: list[str], settings: Settings) -> None:
    if not differences:
        return
    found = "; ".join(differences)
    if settings.environment == "strict":
        raise OperatorError(
            f"this is not the environment that the artifact was validated in: {found}. "
            "Install the locked one (make setup), validate in this one "
            f"({write_command('service.artifact validate')}), or accept it (--environment warn)"
        )
    log.warning("match    environment differs: %s", found)


@contextmanager
def _explain_engine_faults(form: Form, device: str) -> Iterator[None]:
    """Make one line of any error of a runtime: memory, a driver, an unknown format."""
    try:
        yield
    except OperatorError:
        raise
    except Exception as error:
        reason = str(error).strip().splitlines()[:1] or [type(error).__name__]
        raise OperatorError(
            f"form {form.name} does not run on {device}: {reason[0]}. "
            "Choose another form (--engine) or device (--device), or build the artifact again"
        ) from error
