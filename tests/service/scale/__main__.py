"""Update, then kill a node of a real Ray cluster, under load: `python -m tests.service.scale`.

Four nodes on this machine: the head has the proxy, two have a replica each, and one is spare. A
node with a replica is killed. Nobody tells Serve: it must start a replica on the spare by itself.
"""

import argparse
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import psutil

from challenges.load.generator import Target
from challenges.load.images import distinct_images
from challenges.load.observations import Observations
from service.scale.on_ray import NAME, deploy
from service.settings import Settings
from tests.conftest import wait_until
from tests.faults.bench import PHOTOS, Recorded
from tests.performance.traffic import Traffic
from tests.service.web.test_foreign_clients import free_port

ERRORS_S = 5.0
"""Promise: requests due later than this after the kill are answered, in seconds."""
BACK_S = 30.0
"""Promise: from then on the new replica helps, and nothing is refused, in seconds."""
UPDATE_S = 20.0
"""Time of the load during which the replicas are replaced, in seconds."""
REFUSED = "refused (503, Retry-After)"
_OPTIONS: dict[str, Any] = {"include_dashboard": False, "object_store_memory": 80 * 2**20}
_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",
    # The proxy would prefer a replica of its own node, and never meet the dead one.
    "RAY_SERVE_PROXY_PREFER_LOCAL_NODE_ROUTING": "0",
}


def count_replicas() -> int:
    """Return how many replicas run, as Serve counts them."""
    from ray import serve

    application = serve.status().applications.get(NAME)
    states = application.deployments["replica"].replica_states if application else {}
    return sum(count for state, count in states.items() if str(state).endswith("RUNNING"))


def find_replicas() -> list[str]:
    """Return the addresses of the nodes that have a replica."""
    from ray import serve

    client = serve.context._get_global_client()  # no public interface has the nodes
    assert client is not None
    details = client.get_serve_details()
    deployment = details["applications"][NAME]["deployments"]["replica"]
    return [str(one["node_ip"]) for one in deployment["replicas"] if one["state"] == "RUNNING"]


def measure_memory() -> tuple[int, float]:
    """Return the number of Ray's processes below this one, and their memory in MB (PSS)."""
    below = psutil.Process().children(recursive=True)
    held = 0.0
    for process in below:
        try:
            held += process.memory_full_info().pss / 1e6
        except psutil.Error:
            continue
    return len(below), held


def lose_a_node(rate: float, before_s: float, after_s: float) -> dict[str, Any]:
    """Kill a node while photos come; returns what became of them.

    Args:
        rate: photos a second.
        before_s: seconds of load before the kill.
        after_s: seconds of load after it.
    """
    os.environ.update(_ENVIRONMENT)
    import ray
    from ray import serve
    from ray.cluster_utils import Cluster

    began = time.monotonic()
    port = free_port()
    head = {"num_cpus": 0, "node_ip_address": "127.0.0.2", **_OPTIONS}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    nodes = {}
    for number in (3, 4, 5):
        address = f"127.0.0.{number}"
        nodes[address] = cluster.add_node(num_cpus=1, node_ip_address=address, **_OPTIONS)
    ray.init(address=cluster.address, log_to_driver=False, logging_level=logging.ERROR)
    traffic: Traffic | None = None
    try:
        settings = Settings(port=port, engine="onnx-fp32", device="cpu", access_log=False)
        deploy(settings, 2, 2, cores=1, location="HeadOnly")
        wait_until(lambda: count_replicas() == 2, seconds=120)
        started_s = time.monotonic() - began
        processes, held = measure_memory()
        bodies = distinct_images(PHOTOS)
        recorded = Recorded(f"http://127.0.0.1:{port}", bodies)
        traffic = Traffic(bodies)
        with ThreadPoolExecutor(1) as pool:
            warm = traffic.send(Target(port), 5, 1)
            load = pool.submit(traffic.send, Target(port), rate, UPDATE_S)
            # Other settings: each replica is replaced.
            changed = settings.model_copy(update={"target_ms": settings.target_ms + 1})
            deploy(changed, 2, 2, cores=1, location="HeadOnly")
            updated = summarise(load.result(), recorded.is_right, 0)
            wait_until(lambda: count_replicas() == 2, seconds=60)
            victim = find_replicas()[0]
            load = pool.submit(traffic.send, Target(port), rate, before_s + after_s)
            sent_at = time.monotonic()
            wait_until(lambda: time.monotonic() - sent_at > before_s, seconds=before_s + 5)
            killed_at = time.monotonic()
            cluster.remove_node(nodes[victim], allow_graceful=False)
            wait_until(lambda: count_replicas() < 2, seconds=60)
            noticed_s = time.monotonic() - killed_at
            wait_until(lambda: count_replicas() == 2, seconds=120)
            back_s = time.monotonic() - killed_at
            seen = load.result()
        assert warm.ok.all(), warm.status
        return {
            **summarise(seen, recorded.is_right, killed_at - sent_at),
            "during an update": {
                name: updated[name] for name in ("sent", "wrong", "failed", REFUSED)
            },
            "cluster started s": round(started_s, 1),
            "processes": processes,
            "memory MB": round(held),
            "loss noticed s": round(noticed_s, 1),
            "two replicas again s": round(back_s, 1),
        }
    finally:
        if traffic is not None:
            traffic.close()
        serve.shutdown()  # type: ignore[no-untyped-call]
        ray.shutdown()
        cluster.shutdown()  # type: ignore[no-untyped-call]


def summarise(
    seen: Observations, is_right: Callable[[int, bytes], bool], killed_s: float
) -> dict[str, Any]:
    """Return what became of the requests; the node was killed `killed_s` after the first."""
    refused = (seen.status == 503) & ~np.isnan(seen.retry_after)  # by the replica's admission
    bad = ~seen.ok & ~refused
    after = seen.ok & (seen.due >= killed_s)
    last = float(np.max(seen.due[bad] - killed_s, initial=0))
    refused_until = float(np.max(seen.due[refused] - killed_s, initial=0))
    return {
        "sent": len(seen.due),
        "after the kill": int((seen.due >= killed_s).sum()),
        "right after the kill": int(after.sum()),
        "wrong": int(seen.wrong(is_right)),
        REFUSED: int(refused.sum()),
        "last refusal after s": round(refused_until, 2),
        "failed": int(bad.sum()),
        "failed, by status": dict(Counter(seen.status[bad].tolist())),
        "last failure after s": round(last, 2),
        "slowest after the kill ms": round(float(np.max(seen.latency_ms[after], initial=0))),
    }


def judge(found: dict[str, Any]) -> list[str]:
    """Return the promises that did not hold."""
    broken = []
    if found["during an update"]["wrong"] or found["during an update"]["failed"]:
        broken.append("the update had a gap")
    if found["wrong"]:
        broken.append(f"{found['wrong']} wrong answers")
    if found["last failure after s"] > ERRORS_S:
        broken.append(f"a request failed {found['last failure after s']} s after the kill")
    if found[REFUSED] and found["last refusal after s"] > BACK_S:
        broken.append(f"requests were refused {found['last refusal after s']} s after the kill")
    if found["right after the kill"] == 0:
        broken.append("nothing was answered after the kill")
    return broken


def main() -> None:
    """Run it, print what was found; status 1 if a promise is broken."""
    parser = argparse.ArgumentParser(description="Kill a node of a local Ray cluster under load.")
    parser.add_argument("--rate", type=float, default=20, help="photos a second (20)")
    parser.add_argument("--seconds", type=float, default=40, help="load after the kill (40)")
    options = parser.parse_args()
    print("starting four nodes and two replicas", file=sys.stderr)
    found = lose_a_node(options.rate, 5, options.seconds)
    for name, value in found.items():
        print(f"{name:28} {value}")
    sys.exit("; ".join(judge(found)) or None)


if __name__ == "__main__":
    main()
