"""The socket that the service listens on: taken first or handed over, listened on last.

Interfaces of a service manager: sd_listen_fds(3) and sd_notify(3), without its library.
"""

import os
import socket
from contextlib import AbstractContextManager, nullcontext, suppress

from service.errors import OperatorError
from service.settings import Settings

FIRST_HANDED_OVER = 3
"""Number of the first file descriptor that a service manager hands over (sd_listen_fds(3))."""


def bind(settings: Settings) -> socket.socket:
    """Bind the port, without listening yet; or return the socket that systemd hands over.

    Raises:
        OperatorError: it is in use, or there is no such address.
    """
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        return _inherit(settings)
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if settings.reuse_port:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((settings.host, settings.port))
    except (OSError, TypeError, UnicodeError) as error:  # the last two: of an impossible host name
        listener.close()
        raise explain_address(settings, error) from None
    return listener


def bind_admin(settings: Settings) -> AbstractContextManager[socket.socket | None]:
    """Bind the port for operators, if it is another one than that of the predictions.

    Raises:
        OperatorError: as `bind`.
    """
    if settings.admin_port is None:
        return nullcontext()
    return bind(settings.model_copy(update={"port": settings.admin_port}))


def _inherit(settings: Settings) -> socket.socket:
    """Return the listening socket that outlives this process: no connection is refused meanwhile.

    Raises:
        OperatorError: it is not one TCP socket, or several processes would share it.
    """
    count = os.environ.pop("LISTEN_FDS", "")
    del os.environ["LISTEN_PID"]  # not for child processes
    if settings.front_ends > 1:
        raise OperatorError(
            f"--front-ends {settings.front_ends} binds sockets of its own, and the service manager "
            "handed one over. Leave out one of the two"
        )
    found = f"{count or 0} sockets"
    if count == "1":
        listener = socket.socket(fileno=FIRST_HANDED_OVER)
        if listener.family in (socket.AF_INET, socket.AF_INET6):
            listener.set_inheritable(False)
            return listener
        found = listener.family.name
        listener.close()
    raise OperatorError(
        f"the service manager handed over {found}: expected 1 TCP socket. "
        "Give its socket unit one ListenStream= with a port"
    )


def accept_waiting(listener: socket.socket) -> list[socket.socket]:
    """Return the connections that the system has accepted, and which closing would reset."""
    accepted = []
    with suppress(OSError):  # there are no more
        while True:
            accepted.append(listener.accept()[0])
    return accepted


def notify(state: str) -> None:
    """Tell the service manager, if there is one: "READY=1" or "STOPPING=1" (sd_notify(3))."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager, suppress(OSError):
            manager.sendto(state.encode(), address.replace("@", "\0", 1))


def listen(listener: socket.socket, settings: Settings) -> None:
    """Take connections from here on.

    Raises:
        OperatorError: another process came first since `bind`.
    """
    try:
        listener.listen()
    except OSError as error:
        raise explain_address(settings, error) from None


def get_url(listener: socket.socket) -> str:
    """Return the URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def explain_address(settings: Settings, error: Exception) -> OperatorError:
    """Return the error for an address that cannot be used; says what to do."""
    return OperatorError(
        f"cannot listen on {settings.host} port {settings.port}: "
        f"{getattr(error, 'strerror', None) or error}. "
        "Stop what uses it, or choose another address (--host, --port, --admin-port; "
        "make serve port=8123)"
    )
