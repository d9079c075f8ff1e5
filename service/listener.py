"""The socket that the service listens on: bound first, listening last."""

import socket

from service.errors import OperatorError
from service.settings import Settings


def bind(settings: Settings) -> socket.socket:
    """Bind the port, without listening yet.

    Raises:
        OperatorError: the port is in use, or there is no such address.
    """
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
    except (OSError, TypeError, UnicodeError) as error:  # the last two: an impossible host name
        listener.close()
        raise explain_address(settings, error) from None
    return listener


def listen(listener: socket.socket, settings: Settings) -> None:
    """Accept connections from now on.

    Raises:
        OperatorError: another process took the port since `bind`.
    """
    try:
        listener.listen()
    except OSError as error:
        raise explain_address(settings, error) from None


def get_url(listener: socket.socket) -> str:
    """Return the URL at which it listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def explain_address(settings: Settings, error: Exception) -> OperatorError:
    """Return the error for an address that cannot be used; says what to do."""
    return OperatorError(
        f"cannot listen on {settings.host} port {settings.port}: "
        f"{getattr(error, 'strerror', None) or error}. "
        "Stop what uses it, or choose another address (--host, --port; make serve port=8123)"
    )
