"""What a front end is given by the process that starts it: sockets, memory, what was measured."""

import os
import socket
from collections.abc import Mapping
from functools import cache

from pydantic import BaseModel

from service.front_ends.channel import Channel, Shape

_VARIABLE = "INFERENCE_FRONT_END"


class Facts(BaseModel, frozen=True):
    """What is the same for all front ends of a service."""

    of: int
    """How many there are."""
    owner: int
    """The owner's process id."""
    shape: Shape
    """Of each channel."""
    board: int
    """File descriptor of its memory."""
    buckets: list[tuple[str, int]]
    """Devices and batch sizes that the board has times of."""
    uuids: dict[str, str]
    """Of each GPU."""
    form: str
    digest: str
    """Of the bundle that the owner verified."""
    environment_differences: list[str]
    runtime: str
    device: str
    service_s: float
    """One request's time when alone …"""
    interval_s: float
    """… and the time between two answers of one front end when all are busy."""


class Seat(Facts, frozen=True):
    """Of one front end. Sockets and memory are numbers of its file descriptors."""

    number: int
    listener: int
    """A socket that is bound already."""
    control: int
    """To the owner: says that this front end is ready, and hears that the device is lost."""
    channels: list[tuple[int, int]]
    """Socket and memory of each."""

    def environment(self) -> Mapping[str, str]:
        """What the new process gets."""
        return {**os.environ, _VARIABLE: self.model_dump_json()}

    def file_descriptors(self) -> list[int]:
        """What it inherits."""
        ends = [number for channel in self.channels for number in channel]
        return [self.listener, self.control, self.board, *ends]

    def open_channels(self) -> list[Channel]:
        """Called once, in the new process."""
        channels = []
        for end, memory in self.channels:
            channels.append(Channel(socket.socket(fileno=end), memory, self.shape))
            os.close(memory)
        return channels


@cache
def inherited() -> Seat | None:
    """That of this process, if it is a front end."""
    found = os.environ.pop(_VARIABLE, None)
    return Seat.model_validate_json(found) if found else None
