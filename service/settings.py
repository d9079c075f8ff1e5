"""Every setting of the service, in one typed place: the environment, the command line, --help."""

import os
import re
import tomllib
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, CliApp, SettingsConfigDict

from service.engines import FORMS
from service.errors import OperatorError, write_command
from service.preprocessing import MAX_PIXELS

ROOT = Path(__file__).resolve().parent.parent
DEFAULT_ARTIFACT = ROOT / "artifacts" / "default"


class Settings(BaseSettings):
    """Serve one model artifact over HTTP.

    Each option can also be set in the environment, --max-body-bytes as SERVICE_MAX_BODY_BYTES, or
    in a TOML file (--config). The command line wins over the environment, and both over the file.
    """

    model_config = SettingsConfigDict(
        env_prefix="SERVICE_",
        cli_kebab_case=True,
        cli_prog_name=write_command("service.inference_service"),
        cli_hide_none_type=True,
        cli_implicit_flags=True,
        frozen=True,
    )

    config: Path | None = Field(None, description="TOML file of settings")
    host: str = Field("127.0.0.1", min_length=1, description="address to listen on")
    port: int = Field(8000, ge=0, le=65535, description="port to listen on; 0 picks a free one")
    admin_port: int | None = Field(None, ge=0, le=65535, description="port for operators' pages")
    api_keys: Path | None = Field(None, description="file of hashed keys: who may call")
    reuse_port: bool = Field(False, description="share the port with the process replaced")
    root_path: str = Field(
        "", pattern=r"^(/[\w.~-]+)*$", description="path prefix that a proxy puts before all routes"
    )
    cors_origins: str = Field(
        "",
        pattern=r"^(\*|https?://[^/,\s]+(,https?://[^/,\s]+)*)?$",
        description="origins whose pages may call the service from a browser, separated by commas",
    )
    artifact: Path = Field(DEFAULT_ARTIFACT, description="folder of the artifact bundle")
    artifact_digest: str | None = Field(
        None,
        pattern="^[0-9a-f]{64}$",
        description="SHA-256 of manifest.json that the bundle must have (any, if not given)",
    )
    verify_key: Path | None = Field(
        None, description="EC public key (PEM) of whoever must have signed the bundle"
    )
    engine: Literal[("auto", *FORMS)] = Field(  # type: ignore[valid-type]
        "auto",
        description="which form of the model to serve; auto takes the manifest's default on a "
        "CPU and torch on a GPU",
    )
    device: Literal["auto", "cpu", "cuda"] = Field(
        "auto", description="where to compute; auto takes a GPU if there is one"
    )
    decode: Literal["cpu", "gpu"] = Field(
        "cpu",
        description="where JPEG files are decoded, with form bf16; gpu pays where the cores cannot "
        "keep up, and its pixels differ from the validated ones by up to 1 of 255 on average",
    )
    front_ends: int = Field(
        1,
        ge=1,
        le=64,
        description="processes that speak HTTP and decode for one GPU, with form bf16; more than "
        "1 where a single one cannot feed it",
    )
    cores: int | None = Field(None, ge=1, description="cores to use; all, if not given")
    threads: int | None = Field(
        None,
        ge=1,
        le=256,
        description="computing threads of one forward pass; fitted at warm-up, if not given",
    )
    dedicated: bool = Field(
        False,
        description="nothing else computes on this machine or in this container: whoever wakes up "
        "need not wait for a computing thread",
    )
    target_ms: float = Field(50, gt=0, le=600_000, description="latency of 99 in 100 answers")
    max_requests: int = Field(
        256, ge=1, description="most requests at once; each holds its image in memory"
    )
    body_memory_bytes: int = Field(128 * 2**20, ge=1, description="memory for all bodies at once")
    max_connections: int = Field(
        2000, ge=1, description="most connections; beyond it, idle ones are closed for new ones"
    )
    keep_alive_seconds: int = Field(
        75, ge=0, le=3600, description="time that a connection is kept for its next request"
    )
    max_header_bytes: int = Field(32 * 2**10, ge=1024, description="largest head of a request")
    header_seconds: float = Field(20, gt=0, le=3600, description="time for a head to arrive")
    environment: Literal["strict", "warn"] = Field(
        "strict",
        description="when package versions differ from those validated: refuse to start, or warn",
    )
    max_body_bytes: int = Field(10 * 2**20, ge=1, description="largest request body")
    body_seconds: float = Field(
        30, gt=0, le=3600, description="time for a request's body to arrive"
    )
    max_pixels: int = Field(MAX_PIXELS, ge=1, description="largest image, width × height")
    drain_seconds: float = Field(5, ge=0, le=3600, description="after SIGTERM: serve on, not ready")
    shutdown_seconds: int = Field(30, ge=0, le=3600, description="after that: finish requests")
    access_log: bool = Field(True, description="one log line a request")
    log_format: Literal["text", "json"] = Field("text", description="for people, or for programs")
    trace_endpoint: str = Field(
        "",
        pattern=r"^(https?://\S+)?$",
        description="OpenTelemetry collector (OTLP over HTTP), such as http://127.0.0.1:4318",
    )
    open_inference: bool = Field(False, description="serve the Open Inference Protocol v2 at /v2")
    console: bool = Field(False, description="serve /console, a page about this very process")


_SERVICE_LINK = re.compile(r"(tcp|udp|sctp)://")
"""What Kubernetes sets SERVICE_PORT to in every pod if there is a Service named "service"."""


def settings_from(arguments: list[str] | None = None) -> Settings:
    """Read the environment and the command line (`--help` prints all settings and exits).

    Raises:
        OperatorError: a value that cannot be used; names the setting, the value and what is valid.
    """
    for name, value in list(os.environ.items()):
        if name.startswith("SERVICE_") and _SERVICE_LINK.match(value):
            del os.environ[name]
    try:
        settings = CliApp.run(Settings, cli_args=arguments)
        if settings.config is None:
            return settings
        named = _read(settings.config)
        rest = {name: named[name] for name in named.keys() - settings.model_fields_set}
        return CliApp.run(Settings, cli_args=arguments, **rest)
    except ValidationError as error:
        raise OperatorError("; ".join(_fault(dict(fault)) for fault in error.errors())) from None


def _read(path: Path) -> dict[str, Any]:
    try:
        pairs = tomllib.loads(path.read_text(encoding="utf-8")).items()
        named = {name.replace("-", "_"): value for name, value in pairs}
        for name in named.keys() - Settings.model_fields.keys():
            raise ValueError(f"{name} is no setting, --help lists them")
        return named
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OperatorError(f"--config {path}: {reason}. Name a TOML file of settings") from None


def _fault(fault: dict[str, object]) -> str:
    location = fault["loc"]
    name = str(location[0]) if isinstance(location, tuple) and location else "?"
    option, variable = "--" + name.replace("_", "-"), f"SERVICE_{name.upper()}"
    return f"setting {option} ({variable}) is {fault['input']!r}: {fault['msg']}"
