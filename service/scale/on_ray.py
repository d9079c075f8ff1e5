"""The service on a Ray cluster: Ray places, replaces and counts replicas.

Each replica is a whole runner: it takes the model through the same start as a single process
(`startup.load_model`), and has its own admission and batches. Ray is imported only here, when the
command runs.
"""

import argparse
import logging
import os
import signal
import sys
import time
from typing import Any

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import OperatorError, write_command
from service.inference_service import create_app
from service.machine import available_cores
from service.settings import ROOT, Settings, settings_from
from service.telemetry.log import configure_log
from service.web.edge import DIGEST, DIGEST_DIGITS, REQUEST_ID, Edge
from service.web.keys import KeyFile

NAME = "model-service"
"""The application's name in Ray. Running the command again replaces what has this name."""
NODE = "127.0.0.2"
"""Address of a cluster of this machine alone. With 127.0.0.1, no node of Ray 2.60 joins."""
INSIDE_A_LANE = 1.0
"""Requests inside a replica, for each of its cores, above which Ray starts another replica. With
two lanes on two cores, the lanes are then 62 % busy (M/M/2: 2 r / (1 - r^2) = 2 for r = 0.62)."""
SUPPORTED = frozenset(
    {"config", "host", "port", "api_keys", "root_path", "artifact", "artifact_digest",
     "verify_key", "engine", "device", "cores", "threads", "dedicated", "target_ms",
     "max_requests", "body_memory_bytes", "environment", "max_body_bytes", "body_seconds",
     "max_pixels", "shutdown_seconds", "access_log", "log_format", "keep_alive_seconds"}
)  # fmt: skip
"""Settings that act here. The others belong to a process that has a port of its own."""


class Replica:
    """One replica: an application with its own model, which Ray's proxies send requests to."""

    def __init__(self, settings: Settings) -> None:
        """Keep the settings; Ray asks for the application next."""
        self._settings = settings

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Load the model and return the application. Ray sends no request before this is done.

        Raises:
            RuntimeError: the start was refused; has the operator's line.
        """
        configure_log(self._settings.log_format)
        try:
            self._app = create_app(self._settings)
        except OperatorError as error:
            raise RuntimeError(f"the replica was refused: {error}") from None
        return wrap(self._app, self._settings)

    def check_health(self) -> None:
        """Raise if this replica cannot answer any more; Ray then replaces it. Asked by Ray."""
        reason = self._app.state.model.check_health()
        if reason is not None:
            raise RuntimeError(reason)


def wrap(app: Any, settings: Settings) -> ASGIApp:
    """Return the application with keys, counters, a log and the model's digest around it."""
    model = app.state.model
    keys = None if settings.api_keys is None else KeyFile(settings.api_keys)
    edge = Edge(app, model.runner.counters, keys, access_log=settings.access_log)
    digest = model.bundle.digest[:DIGEST_DIGITS]

    async def serve_http(scope: Scope, receive: Receive, send: Send) -> None:
        async def add(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers[DIGEST] = digest
                del headers[REQUEST_ID]  # Ray's proxy adds it: the same id, which it sent here
            await send(message)

        await edge(scope, receive, add)

    return serve_http


def make_options(settings: Settings, least: int, most: int, cores: int) -> dict[str, Any]:
    """Return Ray's options of the deployment.

    Args:
        settings: the service's.
        least: replicas without load.
        most: replicas at the highest load.
        cores: cores of a replica, which Ray keeps free for it.
    """
    return {
        "name": "replica",
        "autoscaling_config": {
            "min_replicas": least,
            "max_replicas": most,
            "target_ongoing_requests": INSIDE_A_LANE * cores,
        },
        # Admission decides in the replica; Ray's own limit is above it, or its queue would hide
        # the waiting from admission.
        "max_ongoing_requests": settings.max_requests + 1,
        # An update starts new replicas before it stops old ones; it needs a free node for that.
        "max_surge_percent": 100,
        # One a machine: two runners on the same cores would each take them for its own.
        "max_replicas_per_node": 1,
        "graceful_shutdown_timeout_s": float(settings.shutdown_seconds),
        "graceful_shutdown_wait_loop_s": 0.2,
        "health_check_period_s": 1.0,
        "health_check_timeout_s": 5.0,
        "ray_actor_options": {
            "num_cpus": cores,
            "runtime_env": {"env_vars": {"PYTHONPATH": str(ROOT)}},
        },
    }


def deploy(
    settings: Settings, least: int, most: int, cores: int, location: str = "EveryNode"
) -> None:
    """Serve on the connected cluster; replaces what is served there, without a gap.

    Args:
        settings: the service's.
        least: replicas without load.
        most: replicas at the highest load.
        cores: cores of a replica.
        location: where Ray runs proxies. One on each node: a balancer before them needs no list of
            replicas.

    Raises:
        OperatorError: Ray could not start the replicas; the former ones go on.
    """
    from ray import serve

    http = {
        "host": settings.host,
        "port": settings.port,
        "location": location,
        "keep_alive_timeout_s": settings.keep_alive_seconds,
    }
    serve.start(http_options=http, logging_config={"enable_access_log": False})
    application = serve.deployment(**make_options(settings, least, most, cores))(
        serve.ingress()(Replica)
    )
    try:
        serve.run(
            application.bind(settings.model_copy(update={"cores": cores})),
            name=NAME,
            route_prefix=settings.root_path or "/",
        )
    except RuntimeError as error:
        status = serve.status().applications.get(NAME)
        said = str(status.message if status is not None else error)
        refused = [line for line in said.splitlines() if "the replica was refused" in line]
        line = (refused or said.strip().splitlines() or ["no reason given"])[-1]
        raise OperatorError(
            f"Ray could not start the replicas: {line.strip()}. The log of the replica "
            "(/tmp/ray/session_latest/logs/serve) has the rest"
        ) from None


def read_arguments(arguments: list[str] | None) -> tuple[argparse.Namespace, Settings]:
    """Read the command line: options of the cluster, and settings of the service.

    Raises:
        OperatorError: a setting that has no meaning here, or a value that cannot be used.
    """
    parser = argparse.ArgumentParser(
        prog=write_command("service.scale.on_ray"),
        description="Serve on a Ray cluster. All other options are settings of the service.",
    )
    parser.add_argument("--address", help="a running cluster (HOST:6379); else one on this machine")
    parser.add_argument("--replicas", type=int, default=1, help="replicas without load (1)")
    parser.add_argument("--max-replicas", type=int, default=4, help="replicas at most (4)")
    options, rest = parser.parse_known_args(arguments)
    if not 1 <= options.replicas <= options.max_replicas:
        raise OperatorError(
            f"--replicas {options.replicas} and --max-replicas {options.max_replicas}: expected at "
            "least 1, and not more than --max-replicas"
        )
    settings = settings_from(rest)
    idle = [
        "--" + name.replace("_", "-")
        for name in sorted(settings.model_fields_set - SUPPORTED)
        if getattr(settings, name) != Settings.model_fields[name].default
    ]
    if idle:
        raise OperatorError(
            f"{', '.join(idle)}: on Ray, the proxies hold the ports, and this has no effect. "
            "Leave it out"
        )
    if settings.port == 0:
        raise OperatorError(
            "setting --port (SERVICE_PORT) is 0: on Ray, every node has a proxy on the same port. "
            "Name it (--port 8000)"
        )
    return options, settings


def main(arguments: list[str] | None = None) -> None:
    """Serve on a cluster until Ctrl-C or SIGTERM; with `--address`, until replicas are ready."""
    # Ray would send its maker what it is used for.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    try:
        options, settings = read_arguments(arguments)
        try:
            import ray
            from ray import serve
        except ImportError as error:
            raise OperatorError(
                f"this needs Ray: {error.name} is not installed. Install the extra `ray`: "
                f"{sys.executable} -m pip install 'ray[serve]'"
            ) from None
        for ending in (signal.SIGINT, signal.SIGTERM):
            signal.signal(ending, signal.default_int_handler)
        cores = available_cores(settings.cores)
        if options.address:
            try:
                ray.init(address=options.address, log_to_driver=False, logging_level=logging.ERROR)
            except ConnectionError as error:
                raise OperatorError(
                    f"--address {options.address}: no Ray cluster answers there "
                    f"({str(error).splitlines()[0]}). Start one (ray start --head), or leave it out"
                ) from None
        else:
            print("ray      starting a cluster on this machine", file=sys.stderr)
            ray.init(
                num_cpus=cores + 1, _node_ip_address=NODE, include_dashboard=False,
                log_to_driver=False, logging_level=logging.ERROR,
            )  # fmt: skip
        print("ray      starting replicas; each loads and checks the model", file=sys.stderr)
        deploy(settings, options.replicas, options.max_replicas, cores)
        print(f"ready    http://{settings.host}:{settings.port} on every node", file=sys.stderr)
        if options.address:
            return
        try:
            while True:
                time.sleep(3600)
        finally:
            serve.shutdown()  # type: ignore[no-untyped-call]
            ray.shutdown()
    except KeyboardInterrupt:
        return
    except OperatorError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    # By its name: Ray copies what is defined in __main__ instead of importing it.
    from service.scale import on_ray

    on_ray.main()
