"""A server that answers each request as it is told."""

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


Answer = Callable[[int], Awaitable[bytes | None]]


@contextmanager
def server(answer: Answer) -> Iterator[tuple[int, list[bytes]]]:
    """A server that answers request i with `answer(i)`; None closes the connection.

    Gives its port and the bodies that it received.
    """
    received: list[bytes] = []
    loop = asyncio.new_event_loop()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = int(head.split(b"Content-Length: ")[1].split(b"\r\n")[0])
                received.append(await reader.readexactly(length))
                reply = await answer(len(received) - 1)
                if reply is None:
                    break
                writer.write(reply)
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = loop.run_until_complete(asyncio.start_server(serve, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    yield listening.sockets[0].getsockname()[1], received

    async def stop() -> None:
        listening.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)

    asyncio.run_coroutine_threadsafe(stop(), loop).result()
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


async def at_once(_: int) -> bytes:
    return OK


@contextmanager
def raw_server(serve: Callable[[socket.socket], None]) -> Iterator[tuple[int, list[socket.socket]]]:
    """A server that gives each connection to `serve`, in a thread; gives its port, and them."""
    accepted: list[socket.socket] = []

    def run(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            serve(connection)

    def accept() -> None:
        with suppress(OSError):
            while True:
                accepted.append(listening.accept()[0])
                threading.Thread(target=run, args=(accepted[-1],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0), backlog=256) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1], accepted
