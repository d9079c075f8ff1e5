"""The panel as a Jupyter widget, with the recorded run for places without a kernel."""

import contextlib
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets
from IPython.core.getipython import get_ipython
from IPython.display import display

from learner.language import _, language
from notebooks.panel.conductor import Conductor
from notebooks.panel.fallback import fallback_page, plain_text
from notebooks.panel.services import ALL, MODES, SERVICES, START_UP, samples, view_sources
from service.console.component import script, style
from service.console.flow import Flow
from service.console.texts import texts
from service.settings import DEFAULT_ARTIFACT

VISIBLE_S, HIDDEN_S = 20.0, 180.0
"""Seconds of silence after which a view counts as closed. Views send a message every 5 s, but
browsers slow hidden pages down to one a minute."""
GONE_S = 5.0
"""Seconds after the last goodbye of a view; a reloaded page is back earlier."""


def panel(loading: str = START_UP, *, artifact: Path = DEFAULT_ARTIFACT, port: int = 0) -> "Panel":
    """Return the deployment panel: its button starts a real service.

    Args:
        loading: position of the switch at first: "start-up", "first-request", "every-request", or
            "all" for the three in turn.
        artifact: folder of the bundle to serve.
        port: for the service; 0 takes a free one.
    """
    if loading not in (*MODES, ALL):
        raise ValueError(f"loading is {loading!r}; it must be one of {', '.join((*MODES, ALL))}")
    return Panel(loading, Path(artifact), port)


class Panel(anywidget.AnyWidget):
    """A panel. Its traits hold all that a view shows; messages of views are requests."""

    _esm = script((Path(__file__).with_name("front") / "lab.js").read_text(encoding="utf-8"))
    _css = style()
    texts = traitlets.Dict().tag(sync=True)
    language = traitlets.Unicode().tag(sync=True)
    sources = traitlets.Dict().tag(sync=True)
    samples: Any = traitlets.List().tag(sync=True)
    flow = traitlets.Dict().tag(sync=True)
    log: Any = traitlets.List().tag(sync=True)
    lines: Any = traitlets.List().tag(sync=True)
    artifact = traitlets.Dict().tag(sync=True)
    metrics = traitlets.Dict().tag(sync=True)
    latencies = traitlets.Dict().tag(sync=True)
    trial = traitlets.Dict().tag(sync=True)

    def __init__(self, loading: str, artifact: Path, port: int) -> None:
        steps = SERVICES[loading if loading in SERVICES else START_UP].steps
        mode = loading if loading in SERVICES else MODES[0]
        super().__init__(
            texts=texts(_),
            language=language(),
            sources=view_sources(),
            samples=samples(),
            flow={**Flow(steps).snapshot(), "alive": False, "mode": mode, "chosen": loading},
        )
        self._conductor = Conductor(self._show, artifact, port, self._is_watched)
        self._conductor.choose(loading)
        self._views: dict[str, tuple[float, float]] = {}
        """View → time of its last message (monotonic), and the seconds for which that counts."""
        self._left = 0.0
        self._busy = False
        """Whether a cell runs: then no message of a view arrives."""
        self._idle_since = 0.0
        if (shell := get_ipython()) is not None:
            shell.events.register("pre_run_cell", self._begin_cell)
            shell.events.register("post_run_cell", self._end_cell)
        self.on_msg(self._on_message)

    def close(self) -> None:
        """End the service, then the widget."""
        self._conductor.close()
        if (shell := get_ipython()) is not None:
            for event, call in (
                ("pre_run_cell", self._begin_cell),
                ("post_run_cell", self._end_cell),
            ):
                with contextlib.suppress(ValueError):  # closed already
                    shell.events.unregister(event, call)
        super().close()

    def _show(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def _on_message(self, _widget: Any, message: Mapping[str, Any], buffers: list[Any]) -> None:
        what, conductor = message.get("do"), self._conductor
        self.send({"heard": message.get("id")})
        if view := message.get("view"):
            seconds = HIDDEN_S if message.get("hidden") else VISIBLE_S
            self._views[view] = (time.monotonic(), seconds)
        if what == "goodbye":
            self._views.pop(message["view"], None)
            self._left = time.monotonic()
        elif what == "simulate" and message["mode"] in (*MODES, ALL):
            conductor.simulate(message["mode"])
        elif what == "choose" and message["mode"] in (*MODES, ALL):
            conductor.choose(message["mode"])
        elif what == "predict":
            conductor.predict(str(message["name"]), bytes(buffers[0]))
        elif what == "sample":
            conductor.sample(str(message["name"]))
        elif what in ("stop", "kill", "more", "tamper"):
            getattr(conductor, what)()

    def _begin_cell(self, _information: Any) -> None:
        self._busy = True

    def _end_cell(self, _result: Any) -> None:
        self._busy = False
        self._idle_since = time.monotonic()

    def _is_watched(self) -> bool:
        """Return whether a view is open: the kernel of a closed notebook goes on running."""
        now = time.monotonic()
        if self._busy:
            return True
        if views := [*self._views.values()]:
            return any(now - max(at, self._idle_since) < seconds for at, seconds in views)
        return now - self._left < GONE_S

    def __repr__(self) -> str:
        return plain_text()

    def _repr_mimebundle_(self, **options: Any) -> Any:
        bundle: Any = super()._repr_mimebundle_(**options)
        data, metadata = bundle if isinstance(bundle, tuple) else (bundle, {})
        return {**data, "text/plain": plain_text()}, metadata

    def _ipython_display_(self) -> None:
        """Display two outputs: the recording, which hides next to a live widget, and the widget.

        If both were one output, JupyterLab would choose the widget, and without a kernel it would
        say that the model was not found.
        """
        page = {"text/html": fallback_page(), "text/plain": plain_text()}
        display(page, raw=True)  # type: ignore[no-untyped-call]
        display(self._repr_mimebundle_()[0], raw=True)  # type: ignore[no-untyped-call]
