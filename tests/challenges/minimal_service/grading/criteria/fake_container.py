"""The service in the container of fake_engine.py, with the fault that FAKE_FAULT names."""

import json
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

STATE = Path(os.environ.get("FAKE_ENGINE", "."))
FAULT = os.environ.get("FAKE_FAULT", "")


class Handler(BaseHTTPRequestHandler):
    """Takes every whole picture for espresso."""

    def do_GET(self) -> None:
        self._answer({})

    def do_POST(self) -> None:
        expected = int(self.headers["Content-Length"])
        right = len(self.rfile.read(expected)) == expected and FAULT != "wrong answer"
        self._answer({"predictions": [{"label": "espresso" if right else "tripod"}]})

    def _answer(self, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


class Server(ThreadingHTTPServer):
    """Waits at its end for the requests that it has accepted."""

    daemon_threads = False


def serve() -> None:
    """Until SIGTERM."""
    if FAULT == "ends":
        print("error: weights.onnx is missing", flush=True)
        note("exit", 3)
        return
    server = Server(("127.0.0.1", 0), Handler)

    def terminate(*_: object) -> None:
        if FAULT == "no drain":
            note("exit", 0)
            os._exit(0)
        if FAULT != "deaf":
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, terminate)
    note("port", server.server_port)
    server.serve_forever(0.01)
    server.server_close()
    note("exit", 9 if FAULT == "bad end" else 0)


def note(name: str, value: int) -> None:
    """Write a number for the engine, all at once."""
    part = STATE / f"{name}.part"
    part.write_text(str(value))
    part.rename(STATE / name)


if __name__ == "__main__":
    serve()
