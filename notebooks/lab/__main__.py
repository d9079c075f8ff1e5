"""Open the lessons in JupyterLab: `python -m notebooks.lab --lang ja` (`make lab`)."""

import argparse
import contextlib
import os
import secrets
import socket
import sys
from pathlib import Path

from learner.errors import LearnerError
from learner.folder import folder, read_json, write_json
from learner.language import CHOICE, LANGUAGES, _, language, speaking
from learner.paths import ROOT
from learner.processes import bypass_proxy
from notebooks.lab.arguments import known_language, run
from notebooks.lab.copies import lay_out
from notebooks.lab.lessons import lessons_or_error

HOST = "127.0.0.1"
PORT = 8888
MAX_TRIES = 50
"""Ports that are tried, from the wanted one on."""
LOCALES = {"en": "en", "ja": "ja_JP", "id": "id_ID"}
"""Language code → JupyterLab's name of the language."""
STARTUP = """from notebooks.workshop.kernel import show_errors_in_words
show_errors_in_words()
del show_errors_in_words
"""
"""Every kernel runs this first: a cell that needs an earlier cell then says so in one sentence."""
ANNOUNCEMENTS = "@jupyterlab/apputils-extension:announcements"
"""JupyterLab's extension that asks about news and looks for updates."""
DOCUMENTS = "@jupyterlab/docmanager-extension:plugin"
"""JupyterLab's extension that opens files."""


def main() -> int:
    """Copy the lessons to the learner's folder, then replace this process by JupyterLab."""
    bypass_proxy()  # for the lessons and terminals, too
    parser = argparse.ArgumentParser(prog="make lab", description=__doc__)
    parser.add_argument("--lang", help=f"one of {', '.join(LANGUAGES)}; the last one if not given")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--fresh", action="store_true", help="new lessons; yours are kept aside")
    options = parser.parse_args()
    chosen = known_language(options.lang or language())
    with speaking(chosen):
        first = lessons_or_error(chosen)[0].path.name
        laid = lay_out(chosen, options.fresh)
        write_json(CHOICE, {"language": chosen})
        for line in laid.lines:
            print(line)
        port = free_port(options.port)
        if port != options.port:
            print(_("Port {busy} is taken, so port {port}.").format(busy=options.port, port=port))
        token = secrets.token_hex(16)
        page = f"/lab/tree/{chosen}/{first}"
        print(_("The lessons lie in {folder}.").format(folder=laid.folder))
        print(_("JupyterLab opens here:"))
        # On a line of its own: a terminal would take characters that follow for a part of it.
        print(f"http://{HOST}:{port}{page}?token={token}")
        print(_("Ctrl+C here ends it."), flush=True)
    command = jupyterlab(port, page, browser=not options.no_browser)
    os.execve(sys.executable, command, environment(chosen, token))


def jupyterlab(port: int, page: str, browser: bool = True) -> list[str]:
    """Return the command that starts JupyterLab with the learner's folder as its root."""
    shell = 'cd "$WORKSHOP_ROOT" && exec "${SHELL:-/bin/sh}"'
    command = [
        *(sys.executable, "-m", "jupyterlab", "--log-level=ERROR", "--LabApp.log_level=ERROR"),
        f"--ServerApp.ip={HOST}",
        f"--ServerApp.port={port}",
        "--ServerApp.port_retries=0",
        f"--ServerApp.root_dir={folder()}",
        f"--LabApp.default_url={page}",
        "--ServerApp.answer_yes=True",
        # Terminals start where the make targets are.
        f"--ServerApp.terminado_settings=shell_command={['/bin/sh', '-c', shell]}",
        # Fills gaps in JupyterLab's own translation.
        "--ServerApp.jpserver_extensions=notebooks.lab.interface=True",
        "--KernelManager.transport_encryption=auto",
        "--KernelSpecManager.allowed_kernelspecs=python3",
        # No questions about news, no search for updates or extensions on the internet.
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    if os.geteuid() == 0:
        command.append("--allow-root")
    if origin := find_codespace_origin(port):
        command.append(f"--ServerApp.allow_origin={origin}")
    return command if browser else [*command, "--no-browser"]


def find_codespace_origin(port: int) -> str | None:
    """Return the origin of a port's pages in a GitHub codespace, as browsers send it; else None.

    A codespace forwards requests to 127.0.0.1, so JupyterLab would take its own pages for a
    stranger's, and refuse them kernels and terminals.
    """
    name = os.environ.get("CODESPACE_NAME")
    domain = os.environ.get("GITHUB_CODESPACES_PORT_FORWARDING_DOMAIN")
    return f"https://{name}-{port}.{domain}".lower() if name and domain else None


def environment(chosen: str, token: str) -> dict[str, str]:
    """Write JupyterLab's settings; return the variables for the server, kernels and terminals."""
    own = folder() / ".jupyter"
    settings = own / "settings"
    _write(
        settings / "@jupyterlab/translation-extension/plugin.jupyterlab-settings",
        "locale",
        LOCALES[chosen],
    )
    _write(own / "labconfig/page_config.json", "disabledExtensions", {ANNOUNCEMENTS: True})
    # The glossary opens as a page. This is a default: the learner's own setting wins.
    viewers = {"defaultViewers": {"markdown": "Markdown Preview"}}
    _write(own / "labconfig/default_setting_overrides.json", DOCUMENTS, viewers)
    startup = own / "ipython/profile_default/startup"
    startup.mkdir(parents=True, exist_ok=True)
    (startup / "00-workshop.py").write_text(STARTUP, encoding="utf-8")
    here = str(Path(sys.executable).parent)
    return {
        **os.environ,
        "IPYTHONDIR": str(own / "ipython"),
        "JUPYTER_CONFIG_DIR": str(own),
        "JUPYTER_TOKEN": token,
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(own / "workspaces"),
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not another of this name
        "PATH": os.pathsep.join([here, os.environ.get("PATH", os.defpath)]),
        "WORKSHOP_FOLDER": str(folder().resolve()),
        "WORKSHOP_LANGUAGE": chosen,
        "WORKSHOP_ROOT": str(ROOT),
    }


def free_port(wanted: int) -> int:
    """Return `wanted`, or the first free port above it.

    Raises:
        LearnerError: it is not a port number, or the next `MAX_TRIES` ports are taken.
    """
    if not 1 <= wanted <= 65535:
        raise LearnerError(_("{port} is not a port: it goes from 1 to 65535.").format(port=wanted))
    for port in range(wanted, min(wanted + MAX_TRIES, 65536)):
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, port))
            return port
    raise LearnerError(
        _("No free port from {port} on. Give another: make lab port=9000").format(port=wanted)
    )


def _write(path: Path, key: str, value: object) -> None:
    """Set one key of a settings file, and keep the learner's other settings."""
    name = path.relative_to(folder()).as_posix()
    write_json(name, {**read_json(name), key: value})


if __name__ == "__main__":
    run(main)
