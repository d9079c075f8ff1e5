"""Refuses connections that leave this machine; used if network namespaces are not permitted."""

import sys

_LOCAL = ("127.", "localhost", "::1", "0.0.0.0")


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    host: object = None
    if event == "socket.getaddrinfo":
        host = arguments[0]
    elif event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) and address else None
    name = host.decode(errors="replace") if isinstance(host, bytes) else host
    if isinstance(name, str) and name and not name.startswith(_LOCAL):
        raise OSError(101, f"Network is unreachable: {name}")


sys.addaudithook(_refuse)
