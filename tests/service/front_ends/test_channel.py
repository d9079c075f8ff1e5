"""A batch goes to the device's owner and back; each end is told when the other one ends."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

import numpy as np
import pytest

from service.engines.base import PixelBatch
from service.errors import DeviceLostError
from service.front_ends.channel import Channel, SharedArray, make_channels

IMAGES, IMAGE, CLASSES = 4, (2, 3, 3), 5


def make_pairs(count: int) -> list[tuple[Channel, Channel]]:
    return make_channels(count, IMAGES, IMAGE, CLASSES)


def images_of(*values: int) -> PixelBatch:
    return np.stack([np.full(IMAGE, value, np.uint8) for value in values])


def add_one(shared: SharedArray, channel: Channel) -> None:
    """Run in another process."""
    shared.array += 1
    assert channel.ask(images_of(7)).tolist() == [[8] * CLASSES]


def test_a_spawned_process_shares_memory_and_channel() -> None:
    shared = SharedArray((2, 3), np.float64)
    _, (ours, theirs) = make_pairs(2)
    process = multiprocessing.get_context("spawn").Process(target=add_one, args=(shared, theirs))
    process.start()
    assert ours.receive() == 1
    assert ours.pixels[0].tolist() == images_of(7)[0].tolist()
    ours.send_answers(np.full((1, CLASSES), 8, np.float32))
    process.join(30)
    assert process.exitcode == 0
    assert shared.array.tolist() == [[1] * 3] * 2


def test_channels_do_not_share_their_rows() -> None:
    pairs = make_pairs(3)
    for number, (_, theirs) in enumerate(pairs):
        theirs.pixels[:] = number
        theirs.probabilities[:] = number
    for number, (ours, _) in enumerate(pairs):
        assert (ours.pixels == number).all()
        assert (ours.probabilities == number).all()


def test_an_image_of_another_size_or_type_is_refused() -> None:
    ((_, theirs),) = make_pairs(1)
    with pytest.raises(ValueError, match="broadcast"):
        theirs.ask(np.zeros((1, 9, 3, 3), np.uint8))
    with pytest.raises(TypeError, match="cast"):
        theirs.ask([np.zeros(IMAGE, np.float32)])


def test_the_asker_hears_that_the_owner_has_ended() -> None:
    ((ours, theirs),) = make_pairs(1)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(theirs.ask, images_of(1))
        assert ours.receive() == 1
        ours.connection.close()
        with pytest.raises(DeviceLostError, match="owns the device has ended"):
            asked.result(10)
    with pytest.raises(DeviceLostError):
        theirs.ask(images_of(1))


@pytest.mark.parametrize(
    ("error", "raised", "text"),
    [
        (ValueError("an unlucky image"), RuntimeError, "an unlucky image"),
        (ValueError(), RuntimeError, "ValueError"),
        (DeviceLostError("cuda:0 failed"), DeviceLostError, "cuda:0 failed; this process is end"),
    ],
)
def test_the_asker_hears_why_a_batch_failed(
    error: Exception, raised: type[Exception], text: str
) -> None:
    ((ours, theirs),) = make_pairs(1)
    ours.refuse(error)
    with pytest.raises(raised, match=text):
        theirs.ask(images_of(1))


def test_a_count_beyond_the_memory_is_cut_off() -> None:
    ((ours, theirs),) = make_pairs(1)
    theirs.connection.send(1000)
    assert ours.receive() == IMAGES


def test_the_owner_hears_that_the_front_end_has_ended() -> None:
    ((ours, theirs),) = make_pairs(1)
    assert isinstance(theirs.connection, Connection)
    theirs.connection.close()
    assert ours.receive() is None
    ours.send_answers(np.zeros((1, CLASSES), np.float32))  # nobody waits: no error
