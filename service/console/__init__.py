"""The console: a page of the service about itself. Off unless the setting `console` is on."""

from service.console.routes import open_console

__all__ = ["open_console"]
