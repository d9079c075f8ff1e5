"""The socket that the service listens on: taken first, listened on last."""

import socket

from service.errors import OperatorError
from service.settings import Settings


def bind(settings: Settings) -> socket.socket:
    """Take the port, without listening yet.

    Raises:
        OperatorError: it is in use, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except (OSError, TypeError, UnicodeError) as error:  # the last two: of an impossible host name
        listener.close()
        raise _cannot_listen(settings, error) from None
    return listener


def shared_by(count: int, settings: Settings, listener: socket.socket) -> list[socket.socket]:
    """Replace `listener` by N sockets, among which the system shares out connections.

    (One socket that all accept from would give most to whoever wakes up first.)

    Raises:
        OperatorError: another process was quicker.
    """
    address = listener.getsockname()
    listener.close()
    found = []
    for _ in range(count):
        one = socket.socket(listener.family)
        found.append(one)
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            one.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            one.bind(address)
        except OSError as error:
            for each in found:
                each.close()
            raise _cannot_listen(settings, error) from None
        # From now on another service's `bind` fails, as it must: the port is taken.
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
    return found


def listen(listener: socket.socket, settings: Settings) -> None:
    """Take connections from here on.

    Raises:
        OperatorError: another process came first since `bind`.
    """
    try:
        listener.listen()
    except OSError as error:
        raise _cannot_listen(settings, error) from None


def format_url(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _cannot_listen(settings: Settings, error: Exception) -> OperatorError:
    return OperatorError(
        f"cannot listen on {settings.host} port {settings.port}: "
        f"{getattr(error, 'strerror', None) or error}. "
        "Stop what uses it, or choose another address (--host, --port; make serve port=8123)"
    )
