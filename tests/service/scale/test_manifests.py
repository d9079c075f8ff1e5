"""The Kubernetes manifests: valid by the published schemas, and of one mind with the settings."""

import copy
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml  # type: ignore[import-untyped]
from fastapi.testclient import TestClient

from service import scale
from service.settings import Settings
from service.web.health import router
from tests.service.test_deploy import CONTAINERFILE

KUBERNETES = "1.37"
FOLDER = Path(scale.__file__).parent
ADDED_BY_KSERVE: dict[str, Any] = {
    "minReplicas": {"type": "integer", "format": "int32"},
    "maxReplicas": {"type": "integer", "format": "int32"},
    "scaleTarget": {"type": "integer", "format": "int32"},
    "scaleMetric": {"enum": ["cpu", "memory", "concurrency", "rps"], "type": "string"},
    "timeout": {"type": "integer", "format": "int64"},
    "containerConcurrency": {"type": "integer", "format": "int64"},
    "canaryTrafficPercent": {"type": "integer", "format": "int64"},
}
"""What a predictor has besides the fields of a pod. Source: KServe's definition of the resource,
config/crd/full/serving.kserve.io_inferenceservices.yaml, version v1beta1, commit aaac4e2."""
Manifest = dict[str, Any]


def read(name: str) -> list[Manifest]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def validate(manifest: Manifest) -> None:
    """Raise if a manifest does not follow its schema; an unknown field counts."""
    if manifest["apiVersion"] != "serving.kserve.io/v1beta1":
        kubernetes_validate.validate(manifest, KUBERNETES, strict=True)
        return
    assert manifest["kind"] == "InferenceService"
    assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}
    assert set(manifest["spec"]) == {"predictor"}
    predictor = manifest["spec"]["predictor"]
    own = {name: predictor[name] for name in predictor.keys() & ADDED_BY_KSERVE.keys()}
    jsonschema.validate(own, {"type": "object", "properties": ADDED_BY_KSERVE})
    pod = {name: predictor[name] for name in predictor.keys() - ADDED_BY_KSERVE.keys()}
    kubernetes_validate.validate(
        {"apiVersion": "v1", "kind": "Pod", "metadata": manifest["metadata"], "spec": pod},
        KUBERNETES,
        strict=True,
    )


MANIFESTS = {one["kind"]: one for name in ("kubernetes.yaml", "kserve.yaml") for one in read(name)}
PODS = {
    "Deployment": MANIFESTS["Deployment"]["spec"]["template"]["spec"],
    "InferenceService": MANIFESTS["InferenceService"]["spec"]["predictor"],
}


@pytest.mark.parametrize("kind", MANIFESTS)
def test_manifest_follows_its_published_schema(kind: str) -> None:
    validate(MANIFESTS[kind])


@pytest.mark.parametrize(
    ("kind", "path", "wrong"),
    [
        ("Deployment", ("spec", "template", "spec", "terminationGracePeriodSeconds"), "40s"),
        ("Deployment", ("spec", "template", "spec", "containers", 0, "readynessProbe"), {}),
        ("Deployment", ("spec", "strategy", "rollingUpdate", "maxSurge"), [1]),
        ("Service", ("spec", "ports", 0, "port"), "80"),
        ("PodDisruptionBudget", ("spec", "minUnavailable"), 1),
        ("HorizontalPodAutoscaler", ("spec", "maxReplicas"), "12"),
        ("HorizontalPodAutoscaler", ("spec", "metrics", 0, "pods", "metric"), "inside"),
        ("InferenceService", ("spec", "predictor", "scaleMetric"), "queue"),
        ("InferenceService", ("spec", "predictor", "minReplica"), 3),
        ("InferenceService", ("spec", "predictor", "containers", 0, "env", 0, "value"), 5),
    ],
)
def test_planted_fault_is_refused(kind: str, path: tuple[str | int, ...], wrong: object) -> None:
    manifest = copy.deepcopy(MANIFESTS[kind])
    place: Any = manifest
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = wrong
    with pytest.raises((kubernetes_validate.ValidationError, jsonschema.ValidationError)):
        validate(manifest)


@pytest.fixture(params=PODS)
def pod(request: pytest.FixtureRequest) -> Manifest:
    found: Manifest = PODS[request.param]
    return found


def read_settings(pod: Manifest) -> Settings:
    """Return the service's settings as they are in a pod."""
    names = {one["name"]: one["value"] for one in pod["containers"][0]["env"]}
    fields = {name.removeprefix("SERVICE_").lower(): value for name, value in names.items()}
    assert fields.keys() <= Settings.model_fields.keys()
    return Settings(**fields)


def test_time_to_end_is_that_of_drain_and_shutdown(pod: Manifest) -> None:
    """Kubernetes kills after it; a shorter one would cut requests, preStop's time is part of it."""
    settings = read_settings(pod)
    before_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert before_s >= 5
    expected_s = before_s + settings.drain_seconds + settings.shutdown_seconds
    assert pod["terminationGracePeriodSeconds"] == expected_s


def test_probes_ask_what_each_route_answers(pod: Manifest) -> None:
    container = pod["containers"][0]
    ports = {one["name"]: one["containerPort"] for one in container["ports"]}
    asked = {name: probe["httpGet"] for name, probe in container.items() if name.endswith("Probe")}
    routes = {getattr(route, "path", "") for route in router.routes}
    assert {one["path"] for one in asked.values()} <= routes
    assert asked["livenessProbe"]["path"] == "/livez"
    assert asked["readinessProbe"]["path"] == "/readyz"
    settings = read_settings(pod)
    assert {ports.get(one["port"], one["port"]) for one in asked.values()} == {settings.port}


def test_pod_has_no_rights_that_it_does_not_need(pod: Manifest) -> None:
    user = pod["securityContext"]["runAsUser"]
    assert f"USER {user}:{pod['securityContext']['runAsGroup']}" in CONTAINERFILE
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["automountServiceAccountToken"] is False
    rights = pod["containers"][0]["securityContext"]
    assert rights["readOnlyRootFilesystem"] is True
    assert rights["allowPrivilegeEscalation"] is False
    assert rights["capabilities"] == {"drop": ["ALL"]}


def test_cores_are_those_that_the_pod_reserves(pod: Manifest) -> None:
    resources = pod["containers"][0]["resources"]
    assert int(resources["requests"]["cpu"]) == read_settings(pod).cores
    assert resources["requests"]["memory"] == resources["limits"]["memory"] == "1Gi"


def test_parts_of_the_deployment_name_each_other() -> None:
    labels = MANIFESTS["Deployment"]["spec"]["template"]["metadata"]["labels"]
    assert MANIFESTS["Service"]["spec"]["selector"].items() <= labels.items()
    for kind in ("Deployment", "PodDisruptionBudget"):
        assert MANIFESTS[kind]["spec"]["selector"]["matchLabels"].items() <= labels.items()
    target = MANIFESTS["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", "model-service")
    ports = {
        one["name"]: one["containerPort"] for one in PODS["Deployment"]["containers"][0]["ports"]
    }
    assert {one["targetPort"] for one in MANIFESTS["Service"]["spec"]["ports"]} <= ports.keys()
    assert ports["operators"] == read_settings(PODS["Deployment"]).admin_port


def test_scaling_asks_for_a_metric_that_there_is(client: TestClient) -> None:
    [metric] = MANIFESTS["HorizontalPodAutoscaler"]["spec"]["metrics"]
    name = metric["pods"]["metric"]["name"]
    assert f"\n{name} " in client.get("/metrics").text
    cores = read_settings(PODS["Deployment"]).cores
    assert int(metric["pods"]["target"]["averageValue"]) == cores
