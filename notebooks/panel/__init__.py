"""The deployment panel in a notebook: `from notebooks.panel import panel`, then `panel()`."""

from notebooks.panel.widget import Panel, panel

__all__ = ["Panel", "panel"]
