"""The service beside Prometheus and Grafana: valid by their own linters, and true of our metrics.

Prometheus itself runs each expression of rules and dashboard over a real service.
"""

import copy
import json
import re
import shutil
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from enum import Enum
from itertools import pairwise
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

import httpx2 as httpx
import pytest
import yaml  # type: ignore[import-untyped]
from pydantic import ValidationError

from service.artifact.sample_photos import SAMPLE_PHOTOS
from service.deploy import __main__ as deploy
from service.runner.jobs import BUCKETS_S
from service.settings import Settings
from service.telemetry.exposition import read_throttling
from tests.conftest import ServiceProcess, wait_until
from tests.service.test_deploy import CONTAINERFILE, DEPLOY
from tests.service.web.test_foreign_clients import free_port

Tree = dict[str, Any]
COMPOSE: Tree = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]
DASHBOARD: Tree = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
SCRAPES: Tree = yaml.safe_load((DEPLOY / "prometheus.yaml").read_text())
RULES: list[Tree] = yaml.safe_load((DEPLOY / "alerts.yaml").read_text())["groups"][0]["rules"]
EXPRESSIONS = {
    f"{panel['title']}: {target['legendFormat']}": target["expr"]
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
}


def need_programs(*names: str) -> pytest.MarkDecorator:
    missing = [name for name in names if shutil.which(name) is None]
    return pytest.mark.skipif(
        bool(missing), reason=f"not installed: {', '.join(missing)}. apt-get install prometheus"
    )


def call(*command: str | Path) -> tuple[int, str]:
    """Exit status of a linter, and all that it says."""
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout + done.stderr


def plant(tree: Tree, path: tuple[str | int, ...], value: object) -> Tree:
    """Return a copy with one other value."""
    planted = copy.deepcopy(tree)
    place: Any = planted
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = value
    return planted


def lint_compose(file: Path) -> tuple[int, str]:
    """Hold a file against the schema of the Compose specification."""
    return call(
        sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec", file
    )


def test_compose_file_follows_the_specification() -> None:
    assert lint_compose(DEPLOY / "compose.yaml") == (0, "ok -- validation done\n")


@pytest.mark.parametrize(
    ("path", "wrong", "told"),
    [
        (("services", "model", "memory_limit"), "1g", "memory_limit"),
        (("services", "model", "read_only"), [True], "services.model.read_only"),
        (("services", "model", "pull_policy"), "no", "services.model.pull_policy"),
        (("services", "prometheus", "ports"), "9090:9090", "services.prometheus.ports"),
        (("services", "grafana", "volumes", 0), 5, "services.grafana.volumes[0]"),
        (("service",), {}, "service"),
    ],
)
def test_wrong_compose_value_is_named(
    path: tuple[str | int, ...], wrong: object, told: str, tmp_path: Path
) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(yaml.safe_dump(plant(COMPOSE, path, wrong)))
    status, output = lint_compose(file)
    assert status == 1
    assert told in output
    assert "Traceback" not in output


def read_settings(environment: Tree) -> Settings:
    """Return the service's settings as they are in its container."""
    fields = {name.removeprefix("SERVICE_").lower(): one for name, one in environment.items()}
    assert fields.keys() <= Settings.model_fields.keys()
    return Settings(**fields)


def test_settings_in_the_compose_file_are_valid() -> None:
    environment = SERVICES["model"]["environment"]
    assert read_settings(environment).admin_port == 9000
    with pytest.raises(ValidationError, match="admin_port"):
        read_settings(environment | {"SERVICE_ADMIN_PORT": "90000"})


def test_compose_starts_it_as_run_image_does() -> None:
    model = SERVICES["model"]
    command = deploy.run_command(Namespace(port=8000, tag=None, engine_options=[], gpu=False))
    given = dict(pairwise(command))
    assert model["image"] == "${MODEL_IMAGE:-" + deploy.TAG + "}"
    assert model["mem_limit"] == given["--memory"]
    assert model["stop_grace_period"] == f"{given['--stop-timeout']}s"
    assert model["cap_drop"] == [given["--cap-drop"]]
    assert model["security_opt"] == [given["--security-opt"] + ":true"]
    assert "--read-only" in command
    assert model["read_only"] is True
    published = given["--publish"].replace(":8000:", ":${MODEL_PORT:-8000}:")
    assert model["ports"] == [published]
    assert "SERVICE_PORT=8000" in CONTAINERFILE


def test_ports_are_open_to_this_machine_only() -> None:
    for name, one in SERVICES.items():
        assert one["ports"], name
        assert all(port.startswith("127.0.0.1:") for port in one["ports"]), name


def test_parts_find_each_other() -> None:
    """Files are mounted where their readers look, and addresses are those of the services."""
    mounts = [
        volume.split(":")[:2]
        for one in SERVICES.values()
        for volume in one.get("volumes", [])
        if volume.startswith("./")
    ]
    assert len(mounts) == 5
    assert [source for source, _ in mounts if not (DEPLOY / source).is_file()] == []
    targets = {target for _, target in mounts}
    [scrape] = SCRAPES["scrape_configs"]
    port = read_settings(SERVICES["model"]["environment"]).admin_port
    assert scrape["static_configs"] == [{"targets": [f"model:{port}"]}]
    assert {f"/etc/prometheus/{name}" for name in SCRAPES["rule_files"]} <= targets
    [source] = yaml.safe_load((DEPLOY / "grafana/datasources.yaml").read_text())["datasources"]
    assert source["url"] == "http://prometheus:9090"
    asked = {one["datasource"]["uid"] for panel in DASHBOARD["panels"] for one in panel["targets"]}
    assert asked == {source["uid"]}
    [provider] = yaml.safe_load((DEPLOY / "grafana/dashboards.yaml").read_text())["providers"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert home in targets
    assert str(Path(home).parent) == provider["options"]["path"]


def fits(value: object, hint: Any) -> bool:
    """Whether a value read from JSON has the type that the SDK writes for its place."""
    origin, arguments = get_origin(hint), get_args(hint)
    if hint in (Any, object):
        return True
    if origin in (Union, UnionType):
        return any(fits(value, one) for one in arguments)
    if origin is Literal:
        return value in arguments
    if origin is list:
        return isinstance(value, list) and all(fits(one, arguments[0]) for one in value)
    if origin is dict:
        return isinstance(value, dict) and all(fits(one, arguments[1]) for one in value.values())
    if hint in (None, NoneType):
        return value is None
    if isinstance(hint, type) and issubclass(hint, Enum):
        return value in [one.value for one in hint] or isinstance(value, hint)
    if hint in (int, float):
        return isinstance(value, (int, hint)) and not isinstance(value, bool)
    return isinstance(value, hint)


def find_faults(value: object, written: object, place: str) -> Iterator[str]:
    """Yield where JSON differs from Grafana's types: a wrong type, or a field that there is not.

    Args:
        value: what the SDK read.
        written: the JSON that it was read from.
        place: the path of both.
    """
    if isinstance(value, list) and isinstance(written, list):
        for at, (one, other) in enumerate(zip(value, written, strict=True)):
            yield from find_faults(one, other, f"{place}[{at}]")
    if not hasattr(value, "to_json") or not isinstance(written, dict):
        return
    for name, hint in get_type_hints(type(value)).items():
        if not fits(getattr(value, name), hint):
            yield f"{place}: {name} is {getattr(value, name)!r}, expected {hint}"
    known = value.to_json()
    for name, one in written.items():
        if name not in known:
            yield f"{place}: Grafana knows no field {name}"
        else:
            yield from find_faults(known[name], one, f"{place}.{name}")


def lint_dashboard(dashboard: Tree) -> list[str]:
    """Hold a dashboard against the types of Grafana's own SDK.

    They are those of Grafana 11.6, the newest on PyPI. Later versions read its dashboards.
    """
    from grafana_foundation_sdk.cog import plugins
    from grafana_foundation_sdk.models import dashboard as models

    plugins.register_default_plugins()
    try:
        read = models.Dashboard.from_json(dashboard)
        return list(find_faults(read, dashboard, "dashboard"))
    except (TypeError, AttributeError) as error:  # the SDK reads without looking
        return [f"dashboard: {error}"]


def test_dashboard_has_the_types_of_grafana() -> None:
    assert lint_dashboard(DASHBOARD) == []


@pytest.mark.parametrize(
    ("path", "wrong", "told"),
    [
        (("refreshing",), "5s", "refreshing"),
        (("graphTooltip",), 7, "graph_tooltip"),
        (("panels", 3, "gridPos", "w"), "12", "panels[3].gridPos: w"),
        (("panels", 3, "title"), 5, "panels[3]: title"),
        (("panels", 3, "targets", 0, "query"), "up", "panels[3].targets[0]"),
        (("panels", 3, "targets", 0, "expr"), None, "panels[3].targets[0]: expr"),
        (("panels", 6, "fieldConfig", "defaults", "custom", "stacking", "mode"), "high", "mode"),
        (("panels", 2, "options", "textMode"), "names", "text_mode"),
        (("panels",), [5], "dashboard"),
    ],
)
def test_wrong_dashboard_value_is_named(
    path: tuple[str | int, ...], wrong: object, told: str
) -> None:
    faults = lint_dashboard(plant(DASHBOARD, path, wrong))
    assert faults
    assert all(told in fault for fault in faults), faults


def test_panels_lie_side_by_side() -> None:
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(x for x, _ in cells) < 24
        taken |= cells
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids)


@need_programs("promtool")
def test_prometheus_accepts_config_and_rules() -> None:
    status, output = call("promtool", "check", "config", "--lint-fatal", DEPLOY / "prometheus.yaml")
    assert status == 0, output
    assert f"{len(RULES)} rules found" in output


@need_programs("promtool")
@pytest.mark.parametrize(
    ("right", "wrong", "told"),
    [
        ("scrape_interval: 5s", "scrape_interval: often", "not a valid duration"),
        ("static_configs:", "static_config:", "static_config not found"),
        ("[alerts.yaml]", "[alarms.yaml]", "alarms.yaml"),
        ("for: 1m", "fore: 1m", "fore not found"),
        ("sum by (le) (rate(", "sum by (le) rate(", "could not parse expression"),
        ("$labels.instance }}", "$labels.instance }", "CpuIsThrottled"),
    ],
)
def test_wrong_config_or_rule_is_named(right: str, wrong: str, told: str, tmp_path: Path) -> None:
    texts = {name: (DEPLOY / name).read_text() for name in ("prometheus.yaml", "alerts.yaml")}
    assert any(right in text for text in texts.values())
    for name, text in texts.items():
        (tmp_path / name).write_text(text.replace(right, wrong))
    status, output = call("promtool", "check", "config", tmp_path / "prometheus.yaml")
    assert status != 0
    assert told in output


CLEAN = {
    'up{job="model-service", instance="a"}': "1+0x60",
    'inference_refusals_total{matter_of="client", reason="bad_image"}': "0+9x60",
    'inference_refusals_total{matter_of="service", reason="stopping"}': "0+9x60",
    'inference_refusals_total{matter_of="service", reason="error"}': "0+0x60",
    'inference_refusals_total{matter_of="load", reason="overload"}': "0+5x60",
    'inference_answers_total{status="200"}': "0+1000x60",
    'inference_answer_seconds_bucket{le="0.05"}': "0+1000x60",
    'inference_answer_seconds_bucket{le="0.1"}': "0+1000x60",
    'inference_answer_seconds_bucket{le="+Inf"}': "0+1000x60",
    'inference_cpu_periods_total{instance="a"}': "0+600x60",
    'inference_cpu_throttled_periods_total{instance="a"}': "0+30x60",
    'inference_event_loop_lag_seconds_bucket{instance="a", le="0.05"}': "0+600x60",
    'inference_event_loop_lag_seconds_bucket{instance="a", le="0.1"}': "0+600x60",
    'inference_event_loop_lag_seconds_bucket{instance="a", le="+Inf"}': "0+600x60",
    'inference_model_info{digest="x", instance="a"}': "1+0x60",
    'inference_model_info{digest="x", instance="b"}': "1+0x60",
}
"""Series of an hour, a value a minute, of a service with bad clients and a little overload."""
PLANTED = {
    "clean": ("", {}),
    "idle": ("", {name: "7x60" for name in CLEAN if re.search("_(total|bucket){", name)}),
    "stall of three minutes": (
        "",
        {'inference_answer_seconds_bucket{le="0.05"}': "0+1000x53 53850 54700 55550+1000x4"},
    ),
    "burst of three minutes": (
        "",
        {'inference_refusals_total{matter_of="load", reason="overload"}': "0+5x53 330 395 460+5x4"},
    ),
    "down": ("ServiceIsDown", {'up{job="model-service", instance="a"}': "1x55 0x5"}),
    "no such job": ("ServiceIsDown", {'up{job="model-service", instance="a"}': "_x60"}),
    "fault of ours": (
        "ServiceFails",
        {'inference_refusals_total{matter_of="service", reason="error"}': "0x58 1x2"},
    ),
    "overload": (
        "LoadIsRefused",
        {'inference_refusals_total{matter_of="load", reason="overload"}': "0+15x60"},
    ),
    "slow": ("AnswersAreSlow", {'inference_answer_seconds_bucket{le="0.05"}': "0+985x60"}),
    "quota": (
        "CpuIsThrottled",
        {'inference_cpu_throttled_periods_total{instance="a"}': "0+70x60"},
    ),
    "blocked": (
        "EventLoopLags",
        {'inference_event_loop_lag_seconds_bucket{instance="a", le="0.05"}': "0+590x60"},
    ),
    "two models": ("ModelsDiffer", {'inference_model_info{digest="y", instance="b"}': "1+0x60"}),
}
"""What happened → the alert that fires, or ""; what differs from the clean series."""


def test_every_alert_is_planted() -> None:
    assert {alert for alert, _ in PLANTED.values()} == {"", *(rule["alert"] for rule in RULES)}
    assert {rule["labels"]["severity"] for rule in RULES} == {"page", "ticket"}


def test_answers_are_slow_beyond_the_default_target() -> None:
    """It is a bound of the histogram: a quantile on one side of it is no guess."""
    target_s = Settings.model_fields["target_ms"].default / 1000
    assert target_s in BUCKETS_S
    [expression] = [rule["expr"] for rule in RULES if rule["alert"] == "AnswersAreSlow"]
    assert {float(bound) for bound in re.findall(r"> ([\d.]+)", expression)} == {target_s}


@need_programs("promtool")
@pytest.mark.parametrize("event", PLANTED)
def test_alert_fires_on_its_series_and_no_other(event: str, tmp_path: Path) -> None:
    """After an hour; what wakes nobody fires none."""
    alert, planted = PLANTED[event]
    firing = [{"labels": f'{{alertname="{alert}"}}', "value": 1}] if alert else []
    series = CLEAN | planted
    test = {
        "interval": "1m",
        "input_series": [{"series": name, "values": values} for name, values in series.items()],
        "promql_expr_test": [{
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})',
            "eval_time": "60m",
            "exp_samples": firing,
        }],
    }  # fmt: skip
    file = tmp_path / "test.yaml"
    rules = str(DEPLOY / "alerts.yaml")
    file.write_text(yaml.safe_dump({"rule_files": [rules], "tests": [test]}))
    status, output = call("promtool", "test", "rules", file)
    assert status == 0, output


def strip_comparison(expression: str) -> str:
    """Return the value that an alert compares: a rule that does not fire returns nothing."""
    return re.sub(r"\s(>|==) [\d.]+", "", expression)


@need_programs("prometheus")
def test_every_expression_finds_series_of_a_real_service(
    start_service: Callable[..., ServiceProcess], tmp_path: Path
) -> None:
    """Rules and dashboard name metrics and labels that /metrics has: Prometheus asks it."""
    service = start_service("--drain-seconds", "0")
    config = copy.deepcopy(SCRAPES)
    config["global"] = {"scrape_interval": "1s", "evaluation_interval": "1s"}
    config["rule_files"] = [str(DEPLOY / "alerts.yaml")]
    target = service.url.removeprefix("http://")
    config["scrape_configs"][0]["static_configs"] = [{"targets": [target]}]
    file = tmp_path / "prometheus.yaml"
    file.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    command = [
        "prometheus", f"--config.file={file}", f"--storage.tsdb.path={tmp_path / 'data'}",
        f"--web.listen-address={address}", "--log.level=error",
    ]  # fmt: skip
    with subprocess.Popen(command) as running:
        try:
            with httpx.Client(base_url=f"http://{address}", trust_env=False) as prometheus:

                def count(expression: str) -> int:
                    """How many series an expression returns now; 0 before Prometheus answers."""
                    try:
                        answer = prometheus.get("/api/v1/query", params={"query": expression})
                    except httpx.TransportError:
                        return 0
                    told: Tree = (
                        answer.json() if answer.status_code != 503 else {"status": "starting"}
                    )
                    assert told["status"] != "error", (expression, told)
                    return len(told["data"]["result"]) if told["status"] == "success" else 0

                answered = 'inference_answers_total{status="200"}'
                wait_until(lambda: count(answered) > 0, 60)
                photo = SAMPLE_PHOTOS[0].read()
                for content in (photo, b"no image"):
                    httpx.post(f"{service.url}/predict", content=content, trust_env=False)
                wait_until(lambda: count(f"increase({answered}[1m]) > 0") > 0, 60)
                asked = EXPRESSIONS | {
                    rule["alert"]: strip_comparison(rule["expr"]) for rule in RULES
                }
                empty = [
                    name
                    for name, expression in asked.items()
                    if not count(expression.replace("$__rate_interval", "1m"))
                ]
        finally:
            running.terminate()
    if read_throttling() is None:  # no quota here, so no metric of it
        assert all("throttled" in asked[name] for name in empty)
        empty = []
    assert empty == []
