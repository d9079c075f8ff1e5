"""The Ray deployment, as far as it needs no cluster.

A cluster takes about a minute and 1 GB on two cores, too much beside other tests. This runs it:
`python -m tests.service.scale`.
"""

import asyncio
import subprocess
import sys

import httpx2 as httpx
import numpy as np
import pytest

from challenges.load.observations import LOST, Observations
from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.artifact.verify import Bundle
from service.errors import OperatorError
from service.scale.on_ray import Replica, main, make_options, read_arguments
from service.settings import ROOT, Settings
from tests.service.scale.__main__ import judge, summarise


def test_replica_answers_as_a_single_process_does(bundle: Bundle) -> None:
    replica = Replica(Settings(artifact=bundle.path, engine="onnx-fp32", device="cpu"))
    app = replica.__serve_build_asgi_app__()

    async def post() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://ray") as client:
            assert (await client.get("/readyz")).status_code == 200
            return await client.post("/predict?k=1", content=SAMPLE_PHOTOS[0].read())

    try:
        answer = asyncio.run(post())
        replica.check_health()
        assert answer.json()["predictions"][0]["label"] in SAMPLE_PHOTOS[0].labels
        assert answer.headers["X-Model-Digest"] == bundle.digest[:12]
        assert "X-Request-Id" not in answer.headers  # Ray's proxy adds it
    finally:
        replica._app.state.model.close()


def test_stuck_replica_says_so_to_ray(bundle: Bundle, monkeypatch: pytest.MonkeyPatch) -> None:
    replica = Replica(Settings(artifact=bundle.path, engine="onnx-fp32", device="cpu"))
    replica.__serve_build_asgi_app__()
    runner = replica._app.state.model.runner
    try:
        monkeypatch.setattr(type(runner), "check_health", lambda _: "worker 0 is stuck")
        with pytest.raises(RuntimeError, match="worker 0 is stuck"):
            replica.check_health()
    finally:
        runner.close()


def test_refused_start_of_a_replica_has_the_reason() -> None:
    replica = Replica(Settings(artifact=ROOT / "nowhere"))
    with pytest.raises(RuntimeError, match=r"the replica was refused: .*nowhere"):
        replica.__serve_build_asgi_app__()


def test_ray_never_queues_before_admission() -> None:
    settings = Settings(max_requests=64, shutdown_seconds=7)
    options = make_options(settings, 2, 5, cores=4)
    assert options["max_ongoing_requests"] > settings.max_requests
    assert options["graceful_shutdown_timeout_s"] == settings.shutdown_seconds
    assert options["max_replicas_per_node"] == 1
    assert options["max_surge_percent"] > 0
    assert options["ray_actor_options"]["num_cpus"] == 4
    scaling = options["autoscaling_config"]
    assert (scaling["min_replicas"], scaling["max_replicas"]) == (2, 5)
    assert 0 < scaling["target_ongoing_requests"] < settings.max_requests


def test_ray_accepts_the_options() -> None:
    """Ray checks names and values of a deployment's options when it is made, without a cluster."""
    script = (
        "from ray import serve\n"
        "from service.scale.on_ray import Replica, make_options\n"
        "from service.settings import Settings\n"
        "options = make_options(Settings(), 1, 4, 2)\n"
        "serve.deployment(**options)(serve.ingress()(Replica)).bind(Settings())\n"
        "print('accepted')"
    )
    done = run_python("-c", script)
    assert done.stdout == "accepted\n", done.stderr


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, cwd=ROOT, timeout=60
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--replicas", "0"], "--replicas 0"),
        (["--replicas", "5", "--max-replicas", "2"], "not more than --max-replicas"),
        (["--port", "0"], "--port 8000"),
        (["--admin-port", "9000"], "--admin-port: on Ray"),
        (["--front-ends", "2"], "--front-ends: on Ray"),
        (["--target-ms", "-1"], "--target-ms"),
    ],
)
def test_bad_command_line_is_one_line(arguments: list[str], words: str) -> None:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert words in str(end.value.code)
    assert str(end.value.code).startswith("error: ")
    assert "\n" not in str(end.value.code)


def test_settings_without_effect_at_their_default_are_accepted() -> None:
    options, settings = read_arguments(["--max-replicas", "2", "--port", "8123"])
    assert (options.replicas, options.max_replicas, settings.port) == (1, 2, 8123)


def test_missing_ray_is_one_line_and_ray_is_imported_late() -> None:
    script = (
        "import sys\n"
        "from service.scale import on_ray\n"
        "assert 'ray' not in sys.modules\n"
        "sys.modules['ray'] = None\n"
        "on_ray.main(['--port', '8123'])"
    )
    done = run_python("-c", script)
    assert done.returncode == 1
    assert "Install the extra `ray`" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def observe(status: list[int], bodies: list[bytes]) -> Observations:
    due = np.arange(len(status), dtype=float)
    return Observations(
        due, due, due + 0.1, np.array(status), bodies, np.full(len(status), np.nan), 0.1
    )


@pytest.mark.parametrize(
    ("status", "bodies", "words"),
    [
        ([200] * 12, [b""] * 12, ""),
        ([200, 200, LOST, 503, *[200] * 8], [b""] * 12, ""),
        ([*[200] * 11, LOST], [b""] * 12, "9.0 s after the kill"),
        ([200] * 12, [*[b""] * 11, b"wrong"], "1 wrong answers"),
        ([LOST] * 3, [b""] * 3, "nothing was answered"),
    ],
)
def test_planted_losses_and_wrong_answers_are_judged(
    status: list[int], bodies: list[bytes], words: str
) -> None:
    found = summarise(observe(status, bodies), lambda _, body: body != b"wrong", killed_s=2)
    found["during an update"] = {"wrong": 0, "failed": 0}
    broken = "; ".join(judge(found))
    assert words in broken
    assert bool(broken) == bool(words)


def test_bad_value_of_settings_is_an_operators_error() -> None:
    with pytest.raises(OperatorError, match="--engine"):
        read_arguments(["--engine", "none"])
