"""Reads from a module's source what it imports, without running it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

# fmt: off
SERVICE_PACKAGES = frozenset({
    "aiohttp", "bentoml", "bottle", "cherrypy", "django", "eventlet", "falcon", "fastapi", "flask",
    "gevent", "granian", "grpc", "gunicorn", "http.server", "hypercorn", "litestar", "litserve",
    "mosec", "quart", "ray", "robyn", "sanic", "socket", "socketserver", "starlette", "tornado",
    "twisted", "uvicorn", "uvloop", "waitress", "websockets", "werkzeug", "wsgiref",
    "xmlrpc.server", "zmq",
})
# fmt: on
"""Packages whose import makes a module service code."""


@dataclass(slots=True)
class Imports:
    """The imports of one file and of all files of the submission that it imports."""

    files: set[Path] = field(default_factory=set)
    """Files of the submission, itself included."""
    libraries: list[str] = field(default_factory=list)
    """Dotted names of outside packages that their import needs, in order, without service code."""
    service: dict[str, Path] = field(default_factory=dict)
    """Dotted names of service code, and the file that imports each."""


def is_service(name: str) -> bool:
    """Return whether a dotted name is, or lies in, one of `SERVICE_PACKAGES`."""
    parts = name.split(".")
    return any(".".join(parts[:length]) in SERVICE_PACKAGES for length in (1, 2))


def read_imports(file: Path, root: Path) -> Imports:
    """Follow the imports of a file within `root`; in the file itself also those in functions.

    Raises:
        SyntaxError, ValueError: a file is not Python.
    """
    imports = Imports()
    _follow(file, root, imports)
    return imports


def _follow(file: Path, root: Path, imports: Imports) -> None:
    first = not imports.files
    if file in imports.files:
        return
    imports.files.add(file)
    tree = ast.parse(file.read_bytes(), str(file))
    at_import = set(_run_at_import(tree))
    for node in ast.walk(tree) if first else at_import:
        for name in _names(node, file, root):
            inside = _files(name, file, root)
            if inside and node in at_import:
                for path in inside:
                    _follow(path, root, imports)
            elif not inside and is_service(name):
                imports.service.setdefault(name, file)
            elif not inside and node in at_import and name not in imports.libraries:
                imports.libraries.append(name)


def _run_at_import(node: ast.AST) -> Iterator[ast.AST]:
    """Yield all nodes but those in functions, which run later."""
    yield node
    if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        for child in ast.iter_child_nodes(node):
            yield from _run_at_import(child)


def _names(node: ast.AST, file: Path, root: Path) -> list[str]:
    """Return the dotted names that a node imports; `from a import b` may mean a module a.b."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if not isinstance(node, ast.ImportFrom):
        return []
    base = _package(file, root, node.level) if node.level else []
    base += node.module.split(".") if node.module else []
    names = (alias.name for alias in node.names)
    return [".".join(base if name == "*" else [*base, name]) for name in names]


def _package(file: Path, root: Path, level: int) -> list[str]:
    folder = file.parent
    for _ in range(level - 1):
        folder = folder.parent
    return list(folder.relative_to(root).parts) if folder.is_relative_to(root) else []


def _files(name: str, file: Path, root: Path) -> list[Path]:
    """Return the submission's files that the import of a name runs; none: it is outside."""
    parts = name.split(".")
    for start in dict.fromkeys([root, file.parent]):
        inside = []
        for length in range(1, len(parts) + 1):
            stem = start.joinpath(*parts[:length])
            for path in (stem.with_suffix(".py"), stem / "__init__.py"):
                if path.is_file():
                    inside.append(path)
        if inside:
            return inside
    return []
