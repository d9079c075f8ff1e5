"""A front end's engine and model, with a device's owner in this process."""

import multiprocessing
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import pytest

from service.artifact.recipe import default_photos
from service.artifact.verify import verify
from service.engines import FORMS
from service.errors import DeviceLostError, OperatorError, OverloadedError
from service.front_ends.channel import OWNER_GONE, make_channels
from service.front_ends.device_server import DeviceServer
from service.front_ends.front_end import Config, RemoteEngine, connect_model
from service.front_ends.shared_counters import SharedCounters
from service.gpu import engine as device_program
from service.gpu.engine import DeviceEngine
from service.runner.plan import Layout
from service.settings import Settings
from tests.conftest import wait_until
from tests.service.small_vit import CLASSES, SIDE, random_pixels


@dataclass
class Owner:
    engine: DeviceEngine
    counters: SharedCounters
    control: "Connection[str, str]"


@pytest.fixture(scope="module")
def engine(small_bundle: Path) -> DeviceEngine:
    return device_program.load(small_bundle / "model.bf16.pt2", "cpu", 1)


@pytest.fixture
def pair(small_bundle: Path, engine: DeviceEngine) -> Iterator[tuple[Owner, Config]]:
    """A device's owner, and the configuration of a front end of two channels for 4 images."""
    pairs = make_channels(2, 4, (SIDE, SIDE, 3), CLASSES)
    counters = SharedCounters(2, list(engine.times()))
    control, remote_control = multiprocessing.Pipe()
    with socket.socket() as listener:
        config = Config(
            number=1,
            settings=Settings(artifact=small_bundle, front_ends=2, max_requests=9),
            listener=listener,
            control=remote_control,
            channels=[remote for _, remote in pairs],
            counters=counters,
            form=FORMS["bf16"],
            digest=verify(small_bundle).digest,
            environment_differences=["pillow"],
            runtime="torch",
            device="cpu",
            uuids={},
            service_s=0.5,
            interval_s=0.25,
        )
        server = DeviceServer(engine, Layout(0, 2, 8, 1), [local for local, _ in pairs])
        yield Owner(engine, counters, control), config
        for _, remote in pairs:
            remote.connection.close()
        server.join()


def test_any_number_of_images_is_classified(pair: tuple[Owner, Config]) -> None:
    owner, config = pair
    engine, pixels = RemoteEngine(config), random_pixels(11)
    np.testing.assert_allclose(engine(pixels), owner.engine(pixels), atol=2e-2)
    np.testing.assert_allclose(engine(list(pixels[:3])), owner.engine(pixels[:3]), atol=2e-2)
    with ThreadPoolExecutor(5) as pool:  # more threads than channels
        answers = pool.map(lambda image: engine(image[np.newaxis]), pixels)
    np.testing.assert_allclose(np.concatenate(list(answers)), owner.engine(pixels), atol=2e-2)


def test_a_lost_device_is_reported_until_the_end(pair: tuple[Owner, Config]) -> None:
    owner, config = pair
    engine = RemoteEngine(config)
    assert engine.check_health() is None
    owner.control.send("cuda:0 fell off the bus")
    assert [engine.check_health() for _ in range(2)] == ["cuda:0 fell off the bus"] * 2


def test_an_owner_that_ended_is_reported(pair: tuple[Owner, Config]) -> None:
    owner, config = pair
    engine = RemoteEngine(config)
    owner.control.close()
    assert [engine.check_health() for _ in range(2)] == [OWNER_GONE] * 2


def test_a_connected_model_answers_and_counts(pair: tuple[Owner, Config]) -> None:
    owner, config = pair
    model = connect_model(config, config.settings)
    photo = default_photos().golden[0].read_bytes()
    pixels = model.plan.prepare(photo)
    np.testing.assert_allclose(model.plan.engine([pixels]), owner.engine([pixels]), atol=2e-2)
    assert model.environment_differences == ["pillow"]
    assert [step.name for step in model.steps] == ["attach"]
    assert (model.plan.layout.lanes, model.plan.layout.max_batch) == (2, 4)
    assert (model.runner.admission.service_s, model.runner.admission.interval_s) == (0.5, 0.25)
    model.runner.counters.failed = 3
    owner.counters.publish_counters(0, replace(model.runner.counters, failed=4))
    wait_until(lambda: model.counters.failed == 7)
    model.close()


def test_its_places_are_its_share_of_all(pair: tuple[Owner, Config]) -> None:
    _, config = pair
    model = connect_model(config, config.settings)
    admitted = [model.runner.admit(60) for _ in range(6)]
    for place in admitted[:5]:  # half of 9, rounded up
        place.__enter__()
    with pytest.raises(OverloadedError, match="5 requests are inside, the most"):
        admitted[5].__enter__()
    for place in admitted[:5]:
        place.__exit__(None, None, None)
    model.close()


def test_a_bundle_that_was_replaced_is_refused(pair: tuple[Owner, Config]) -> None:
    _, config = pair
    with pytest.raises(OperatorError, match="another artifact than the one asked for"):
        connect_model(replace(config, digest="0" * 64), config.settings)


def test_a_device_lost_at_the_start_is_one_line(
    pair: tuple[Owner, Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, config = pair

    def lose(*_: object) -> None:
        raise DeviceLostError("cuda:0 failed")

    monkeypatch.setattr(RemoteEngine, "__call__", lose)
    with pytest.raises(OperatorError, match=r"^cuda:0 failed; this process is ending"):
        connect_model(config, config.settings)
