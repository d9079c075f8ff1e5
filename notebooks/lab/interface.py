"""A Jupyter server extension that fills gaps in JupyterLab's language packs.

The Indonesian pack translates a third of JupyterLab, without the menus. `interface_id.json` adds
the texts that a learner sees, in the format of the packs. Keys are English texts, after a context
and U+0004 if there is one. Values are lists: the translation, and an empty plural if it has one.
"""

import json
from pathlib import Path
from typing import Any

from jupyterlab_server import translations_handler

ADDED = {"id_ID": Path(__file__).with_name("interface_id.json")}
DOMAIN = "jupyterlab"


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(_server: object) -> None:
    """Add our texts to the answers of JupyterLab's translations handler."""
    handlers: Any = translations_handler
    get_packaged = handlers.get_language_pack

    def get_completed(locale: str) -> tuple[dict[str, Any], str]:
        data, message = get_packaged(locale)
        if locale in ADDED and DOMAIN in data:
            data[DOMAIN] = {**data[DOMAIN], **read_added_texts(locale)}
        return data, message

    handlers.get_language_pack = get_completed


def read_added_texts(locale: str) -> dict[str, list[str]]:
    """Return the texts that we add for a locale of JupyterLab ("id_ID")."""
    texts: dict[str, list[str]] = json.loads(ADDED[locale].read_text(encoding="utf-8"))
    return texts
