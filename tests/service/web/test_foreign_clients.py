"""Clients and balancers that others wrote. Each test is skipped where its program is missing."""

import re
import shutil
import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx2 as httpx
import pytest
from playwright.sync_api import Browser

from service.artifact.sample_photos import SAMPLE_PHOTOS
from tests.conftest import ServiceProcess, start_process, wait_until
from tests.service.test_listener import hand_over
from tests.service.web.test_http_server import (
    PATIENT,
    check_all_answered,
    send_photos,
    wait_for_photos,
)

PHOTO = SAMPLE_PHOTOS[0].read()
LABEL = '"label":"espresso"'
Start = Callable[..., ServiceProcess]

POST_JAVA = """
import java.io.FileInputStream;
import java.net.URI;
import java.net.http.*;
import java.nio.file.Path;

public class Post {
    public static void main(String[] arguments) throws Exception {
        Path photo = Path.of(arguments[1]);
        var bodies = new HttpRequest.BodyPublisher[] {
            HttpRequest.BodyPublishers.ofFile(photo),
            HttpRequest.BodyPublishers.ofInputStream(() -> open(photo)),  // chunked
            HttpRequest.BodyPublishers.ofByteArray(new byte[20_000_000]),
            HttpRequest.BodyPublishers.ofFile(photo),
        };
        HttpClient client = HttpClient.newHttpClient();
        for (var body : bodies) {
            var request = HttpRequest.newBuilder(URI.create(arguments[0])).POST(body).build();
            var answer = client.send(request, HttpResponse.BodyHandlers.ofString());
            System.out.println(answer.statusCode() + " " + answer.body());
        }
    }

    static FileInputStream open(Path path) {
        try {
            return new FileInputStream(path.toFile());
        } catch (java.io.IOException error) {
            throw new java.io.UncheckedIOException(error);
        }
    }
}
"""

PAGE = """
<script>
async function post(url, headers) {
  const photo = await (await fetch("photo.png")).blob();
  try {
    const answer = await fetch(url, {method: "POST", body: photo, headers});
    return [answer.status, await answer.text(), answer.headers.get("retry-after")];
  } catch (error) {
    return [0, String(error), null];
  }
}
</script>
"""


def find(program: str, package: str) -> str:
    """Return the path of a program, or skip the test."""
    path = shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin")
    if path is None:
        pytest.skip(f"no {program} on this machine: apt-get install {package}")
    return path


def run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("page") / "photo.png"
    path.write_bytes(PHOTO)
    (path.parent / "index.html").write_text(PAGE)
    return path


@pytest.fixture(scope="module")
def origin(photo: Path) -> Iterator[str]:
    """The origin of a page that is not the service's."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    handler = partial(Quiet, directory=str(photo.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory, origin: str) -> Iterator[str]:
    log = tmp_path_factory.mktemp("service") / "log"
    service = start_process(log, "--cors-origins", origin)
    yield service.url
    service.process.kill()
    service.process.wait()


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


@contextmanager
def run_balancer(command: list[str], folder: Path, port: int) -> Iterator[None]:
    with (folder / "balancer.log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)

    def accepts() -> bool:
        assert process.poll() is None, (folder / "balancer.log").read_text()
        with socket.socket() as client:
            return client.connect_ex(("127.0.0.1", port)) == 0

    try:
        wait_until(accepts)
        yield
    finally:
        process.kill()
        process.wait()


@contextmanager
def run_haproxy(folder: Path, port: int, servers: list[int]) -> Iterator[None]:
    """Balance on kept connections; ask for health each 200 ms."""
    lines = [f"server s{each} 127.0.0.1:{each} check inter 200 fall 2 rise 1" for each in servers]
    (folder / "haproxy.cfg").write_text(
        "defaults\n mode http\n timeout connect 2s\n timeout client 60s\n timeout server 60s\n"
        " timeout check 5s\n http-reuse always\n option httpchk GET /readyz\n"
        f"listen photos\n bind 127.0.0.1:{port}\n " + "\n ".join(lines) + "\n"
    )
    command = [find("haproxy", "haproxy"), "-db", "-f", str(folder / "haproxy.cfg")]
    with run_balancer(command, folder, port):
        yield


@contextmanager
def run_nginx(folder: Path, port: int, server: int) -> Iterator[None]:
    """Pass on to one upstream, on kept connections."""
    names = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    paths = "".join(f"{name}_temp_path {folder}/{name};" for name in names)
    (folder / "nginx.conf").write_text(
        f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{}} http {{ access_log off; {paths} client_max_body_size 100m;"
        f"upstream photos {{ server 127.0.0.1:{server}; keepalive 16; }}"
        f"server {{ listen 127.0.0.1:{port}; location / {{"
        'proxy_pass http://photos; proxy_http_version 1.1; proxy_set_header Connection "";'
        "}}}\n"
    )
    command = [find("nginx", "nginx-light"), "-p", str(folder), "-c", str(folder / "nginx.conf")]
    with run_balancer([*command, "-e", str(folder / "error.log")], folder, port):
        yield


@contextmanager
def post_kept(port: int) -> Iterator[list[httpx.Response]]:
    """Answers to photos that two clients send at 15/s each, on kept connections, in the block."""
    answers: list[httpx.Response] = []
    done = threading.Event()

    def post() -> None:
        with httpx.Client(headers={"X-Deadline-Ms": "20000"}, timeout=30) as client:
            while not done.wait(1 / 15):
                answers.append(client.post(f"http://127.0.0.1:{port}/predict", content=PHOTO))

    with ThreadPoolExecutor() as pool:
        clients = [pool.submit(post) for _ in range(2)]
        try:
            yield answers
        finally:
            done.set()
        for client in clients:
            client.result()


@pytest.mark.parametrize(
    "options", [[], ["--http2"], ["--http1.0"], ["-H", "Expect: 100-continue"]]
)
def test_curl(url: str, photo: Path, options: list[str]) -> None:
    curl = [find("curl", "curl"), "--silent", "--show-error", *options]
    body, form = ["--data-binary", f"@{photo}"], ["--form", f"file=@{photo}"]
    for upload in (body, form):
        assert LABEL in run(*curl, *upload, f"{url}/predict")
    chunked = (
        ["--header", "Transfer-Encoding: chunked", *body] if "--http1.0" not in options else body
    )
    twice = run(*curl, *chunked, f"{url}/predict", f"{url}/predict")  # on one connection
    assert twice.count(LABEL) == 2


@pytest.mark.parametrize(
    "options", [[], ["--http2"], ["-H", "Expect:"], ["-H", "Connection: close"]]
)
def test_curl_sees_why_a_body_is_refused(url: str, tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "large").write_bytes(bytes(20_000_000))
    upload = ["--data-binary", f"@{tmp_path / 'large'}", f"{url}/predict"]
    answer = run(
        find("curl", "curl"), "--silent", "--write-out", " %{http_code}", *options, *upload
    )
    assert "larger than 10,485,760 bytes" in answer
    assert answer.endswith(" 413")


def test_java(url: str, photo: Path, tmp_path: Path) -> None:
    """Its client asks for HTTP/2 with the first request."""
    java = find("java", "default-jdk-headless")
    find("javac", "default-jdk-headless")
    (tmp_path / "Post.java").write_text(POST_JAVA)
    whole, chunked, large, again = run(
        java, str(tmp_path / "Post.java"), f"{url}/predict", str(photo)
    ).splitlines()
    for line in (whole, chunked, again):
        assert line.startswith("200 ")
        assert LABEL in line
    assert large.startswith("413 ")


@pytest.mark.parametrize("options", [[], ["-k"]])
def test_ab(url: str, photo: Path, options: list[str]) -> None:
    ab = [find("ab", "apache2-utils"), "-q", "-l", "-n", "60", "-c", "4", *options]
    ab += ["-H", "X-Deadline-Ms: 20000"]  # the machine may be busy
    report = run(*ab, "-p", str(photo), "-T", "image/png", f"{url}/predict")
    assert re.search(r"Complete requests: +60\n", report)
    assert re.search(r"Failed requests: +0\n", report)
    assert "Non-2xx" not in report


def test_browser_posts_a_blob_from_another_origin(
    url: str, origin: str, browser: Browser, start_service: Start
) -> None:
    page = browser.new_page()
    page.goto(f"{origin}/index.html")
    post = "([url, headers]) => post(url, headers)"
    for headers in ({}, {"X-Deadline-Ms": "20000"}):
        status, text, _ = page.evaluate(post, [f"{url}/predict", headers])
        assert (status, LABEL in text) == (200, True)
    status, text, retry_after = page.evaluate(post, [f"{url}/predict", {"X-Deadline-Ms": "0.01"}])
    assert (status, retry_after) == (503, "1")  # a page may read when to try again
    status, text, _ = page.evaluate(post, [f"{start_service().url}/predict", {}])
    assert (status, "Failed to fetch" in text) == (0, True)
    page.close()


def test_nginx_passes_refusals_on(url: str, tmp_path: Path) -> None:
    port = free_port()
    with run_nginx(tmp_path, port, int(url.rpartition(":")[2])), httpx.Client() as client:
        to = f"http://127.0.0.1:{port}/predict"
        for _ in range(3):
            answer = client.post(to, content=PHOTO, timeout=30)
            assert (answer.status_code, LABEL in answer.text) == (200, True)
            assert client.post(to, content=bytes(20_000_000), timeout=30).status_code == 413


def test_restarts_behind_one_upstream_of_nginx(start_service: Start, tmp_path: Path) -> None:
    port = free_port()
    with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:

        def start() -> ServiceProcess:
            wrapper = hand_over(listener)
            return start_service(*PATIENT, wrapper=wrapper, files=[listener])

        service = start()
        service.wait_for(" ready ")
        with (
            run_nginx(tmp_path, port, listener.getsockname()[1]),
            ThreadPoolExecutor() as pool,
        ):
            load = send_photos(pool, port, 400)
            for _ in range(2):
                wait_for_photos(service, 50)
                assert service.stop(signal.SIGTERM) == 0
                service = start()
                service.wait_for(" ready ")
            check_all_answered(load)


def test_drains_behind_haproxy(start_service: Start, tmp_path: Path) -> None:
    """Two instances, five SIGTERMs, on kept connections."""
    port, ports = free_port(), [free_port(), free_port()]

    def start(own: int) -> ServiceProcess:
        return start_service("--port", str(own), "--drain-seconds", "1")

    services = {own: start(own) for own in ports}
    for service in services.values():
        service.wait_for(" ready ")
    with run_haproxy(tmp_path, port, ports), post_kept(port) as answers:
        for number in range(5):
            own = ports[number % 2]
            wait_for_photos(services[own], 10)
            assert services[own].stop(signal.SIGTERM) == 0
            services[own] = start(own)
            services[own].wait_for(" ready ")
            served = len(answers)
            wait_until(lambda served=served: len(answers) > served + 30)  # type: ignore[misc]
    assert {(answer.status_code, LABEL in answer.text) for answer in answers} == {(200, True)}
