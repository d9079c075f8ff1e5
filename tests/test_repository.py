"""Promises of the repository itself: commands, documents, lock file, sizes, imports."""

import ast
import re
import subprocess
import sys
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from learner import setup_environment
from service.settings import ROOT, Settings

LAYERS = ("tests", "authoring", "notebooks", "quizzes", "challenges", "learner", "service")
"""The packages, from the top to the bottom. A package imports those after it only."""
NO_NAMESAKE_NEEDED_BELOW = 61
"""Lines from which on a module should have a test file of its own name."""
STARTER = "challenges/minimal_service/starter/"
"""What learners get to change: the modules in it belong to no package."""


def find_modules(root: Path) -> dict[str, Path]:
    """Return the path of each module by its dotted name; a package is "name.__init__"."""
    return {
        path.relative_to(root).with_suffix("").as_posix().replace("/", "."): path
        for layer in LAYERS
        for path in sorted((root / layer).rglob("*.py"))
        if not path.relative_to(root).as_posix().startswith(STARTER)
    }


MODULES = find_modules(ROOT)


def read_imports(root: Path) -> list[tuple[str, str]]:
    """Return each import of one module of the repository by another: importer, imported."""
    modules = find_modules(root)

    def resolve(name: str) -> str | None:
        return next((own for own in (name, f"{name}.__init__") if own in modules), None)

    def read(module: str, path: Path) -> Iterator[str | None]:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (resolve(alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                parents = module.split(".")[: -node.level] if node.level else []
                source = ".".join([*parents, *([node.module] if node.module else [])])
                for alias in node.names:
                    yield resolve(f"{source}.{alias.name}") or resolve(source)

    pairs = {
        (module, imported)
        for module, path in modules.items()
        for imported in read(module, path)
        if imported and imported != module
    }
    return sorted(pairs)


def find_upward_imports(imports: list[tuple[str, str]]) -> list[str]:
    """Return the imports of a package further up in LAYERS."""

    def floor(module: str) -> int:
        return LAYERS.index(module.partition(".")[0])

    return [
        f"{importer} imports {imported}"
        for importer, imported in imports
        if floor(imported) < floor(importer)
    ]


def find_circles(imports: list[tuple[str, str]]) -> list[str]:
    """Return the circles between folders of the packages, each as its members and imports.

    A file in a folder that has sub-folders counts by itself; any other folder counts as one.
    """
    folders = {module.rpartition(".")[0] for pair in imports for module in pair}
    parents = {folder.rpartition(".")[0] for folder in folders}

    def place(module: str) -> str:
        folder = module.rpartition(".")[0]
        return module if folder in parents else folder

    graph: dict[str, set[str]] = defaultdict(set)
    for importer, imported in imports:
        if not importer.startswith("tests.") and place(importer) != place(imported):
            graph[place(importer)].add(place(imported))
    reachable = {member: _reach(graph, member) for member in graph}
    circles = {
        frozenset(other for other in reached if member in reachable.get(other, ()))
        for member, reached in reachable.items()
        if member in reached
    }
    return [
        "; ".join(
            [", ".join(sorted(circle))]
            + [
                f"{a} imports {b}"
                for a, b in imports
                if place(a) != place(b) and {place(a), place(b)} <= circle
            ]
        )
        for circle in sorted(circles, key=sorted)
    ]


def _reach(graph: dict[str, set[str]], start: str) -> set[str]:
    reached: set[str] = set()
    waiting = list(graph[start])
    while waiting:
        member = waiting.pop()
        if member not in reached:
            reached.add(member)
            waiting += graph.get(member, ())
    return reached


def list_without_namesake() -> tuple[list[str], int]:
    """Return the modules above 60 lines without a test of their name; how many modules there are.

    service/gpu/staging.py has tests/service/gpu/test_staging.py, a package or a command
    (`__init__`, `__main__`) either test_init.py and test_main.py, or a test of its folder's name.
    """
    large = [
        path.relative_to(ROOT)
        for module, path in MODULES.items()
        if not module.startswith("tests.")
        and len(path.read_text().splitlines()) >= NO_NAMESAKE_NEEDED_BELOW
    ]
    missing = []
    for path in large:
        folder = Path("tests") / path.parent
        names = [folder / f"test_{path.stem.strip('_')}.py"]
        if path.stem.startswith("__"):
            names += [folder.with_name(f"test_{folder.name}.py"), folder / f"test_{folder.name}.py"]
        if not any((ROOT / name).is_file() for name in names):
            missing.append(path.as_posix())
    return missing, len(large)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT)


def test_make_alone_lists_the_targets_with_a_line_each() -> None:
    lines = run("make", "--no-print-directory").stdout.splitlines()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[1] for line in lines] == targets
    assert all(len(line.split(maxsplit=2)) == 3 for line in lines)


DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_of_documents_lead_somewhere(document: Path) -> None:
    text = re.sub(r"^```.*?^```", "", document.read_text(), flags=re.MULTILINE | re.DOTALL)
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", text):
        address, _, heading = link.partition("#")
        target = document.parent / address if address else document
        if "://" in link:
            continue
        if not target.exists() or (heading and heading not in list_headings(target)):
            broken.append(link)
    assert broken == []


def list_headings(document: Path) -> list[str]:
    """Return the anchors that GitHub gives the headings of a Markdown file."""
    headings = re.findall(r"^#+ (.+)$", document.read_text(), re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_commands_in_documents_exist(document: Path) -> None:
    text = document.read_text()
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert set(re.findall(r"^make ([a-z-]+)", text, re.MULTILINE)) <= set(targets)
    for module in re.findall(r"^\.venv/bin/python -m ([\w.]+)", text, re.MULTILINE):
        assert {module, f"{module}.__main__"} & set(MODULES), module


TEXTS = [*DOCUMENTS, *sorted((ROOT / "notebooks/en").glob("*.*")), ROOT / "Makefile"]
LEARNERS_CODE = ("challenges/tasks/", STARTER)
"""What learners write there runs in its own folder."""


def list_printed_strings() -> Iterator[tuple[str, str]]:
    """Return each string of the code that is no docstring, and its place."""
    for path in MODULES.values():
        name = path.relative_to(ROOT).as_posix()
        if name.startswith(("tests/", *LEARNERS_CODE)):
            continue
        tree = ast.parse(path.read_text())
        docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
        for node in ast.walk(tree):
            if not isinstance(node, ast.Constant) or id(node) in docstrings:
                continue
            if isinstance(node.value, str):
                yield f"{name}:{node.lineno}", node.value


def test_printed_commands_name_their_python() -> None:
    """`python` may be another one in the reader's shell: service.errors.write_command names it."""
    bare = [
        place
        for place, text in list_printed_strings()
        if re.search(r"(?<![/\w])python3? -m (?!venv|pip)", text)
    ]
    assert bare == []


def test_commands_in_messages_and_texts_run() -> None:
    texts = [path.read_text() for path in TEXTS if path.suffix in ("", ".md", ".ipynb")]
    texts += [text for _, text in list_printed_strings()]
    code = [path.read_text() for path in MODULES.values()]
    modules = set(re.findall(r"\.venv/bin/python -m ([\w.]+)", "\n".join(texts)))
    modules |= set(re.findall(r"write_command\(f?[\"']([\w.]+)", "\n".join(code)))
    assert len(modules) > 8
    running = {
        module: subprocess.Popen(
            [sys.executable, "-m", module, "--help"], cwd=ROOT,
            stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        )
        for module in sorted(modules)
    }  # fmt: skip
    failed = {module: process.communicate()[1] for module, process in running.items()}
    assert {name: failed[name] for name, process in running.items() if process.returncode} == {}
    named = set(re.findall(r"(?:^|`|: |\()make ([a-z-]+)(?=[`\s).,]|$)", "\n".join(texts), re.M))
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert {"serve", "lab"} <= named
    assert named - set(targets) <= {"a", "it", "the"}  # prose: "make it", "make the"


def test_settings_in_documents_exist() -> None:
    text = (ROOT / "docs/service.md").read_text()
    rows = re.findall(r"^\| (`--.*?) \|", text, re.MULTILINE)
    options = {
        option.replace("-", "_") for row in rows for option in re.findall(r"--([\w-]+)", row)
    }
    assert len(options) > 10
    assert options <= set(Settings.model_fields)


def test_readme_is_read_in_five_minutes() -> None:
    assert len((ROOT / "README.md").read_text().split()) <= 1000


def test_set_up_is_done_once() -> None:
    """Where the environment belongs to another work tree, `make setup` would change that one."""
    if (ROOT / ".venv").is_symlink():
        pytest.skip(".venv is a link to the environment of another work tree")
    stamp = setup_environment.stamp("development")
    assert setup_environment.read(stamp) == setup_environment.digest_of_inputs("development")
    done = run("make", "--no-print-directory", "setup")
    assert (done.returncode, done.stdout) == (0, "")


def test_lock_has_a_hash_for_everything_and_names_no_host() -> None:
    lock = (ROOT / "requirements.lock").read_text()
    entries = re.findall(r"^\S+==\S+.*?(?=^\S|\Z)", lock, re.MULTILINE | re.DOTALL)
    assert len(entries) > 100
    assert all("--hash=sha256:" in entry for entry in entries)
    assert "://" not in lock
    assert not re.search(r"^-", lock, re.MULTILINE)


def test_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lock = (ROOT / "requirements.lock").read_text()
    extras = project["optional-dependencies"].values()
    for requirement in [*project["dependencies"], *(one for extra in extras for one in extra)]:
        name = re.split(r"[\[<>=]", requirement)[0]
        if name == project["name"]:  # one extra names another
            continue
        assert re.search(rf"^{re.escape(name)}(\[.*?\])?==", lock, re.MULTILINE), name


def test_imports_run_one_way() -> None:
    """Authoring → notebooks → quizzes → challenges → learner → service, and tests above all."""
    assert find_upward_imports(read_imports(ROOT)) == []


def test_folders_do_not_import_each_other() -> None:
    assert find_circles(read_imports(ROOT)) == []


def plant(root: Path, files: dict[str, str]) -> list[tuple[str, str]]:
    """Write files, with an `__init__.py` in each folder; return their imports."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        for folder in path.relative_to(root).parents[:-1]:
            (root / folder / "__init__.py").touch()
    return read_imports(root)


@pytest.mark.parametrize(
    "line",
    [
        "import quizzes.lint",
        "from quizzes import lint",
        "from quizzes.lint import check",
        "def late():\n    from quizzes import lint",
    ],
)
def test_planted_upward_import_is_found(line: str, tmp_path: Path) -> None:
    imports = plant(tmp_path, {"learner/paths.py": line, "quizzes/lint.py": "import learner"})
    assert find_upward_imports(imports) == ["learner.paths imports quizzes.lint"]


def test_planted_circles_are_found(tmp_path: Path) -> None:
    """Through a file between two folders, and far down; two files of one folder are no circle."""
    imports = plant(
        tmp_path,
        {
            "service/gpu/engine.py": "from service.web import health\nfrom . import plan",
            "service/gpu/plan.py": "from .engine import x",
            "service/web/health.py": "import service.server",
            "service/server.py": "from service import gpu, settings",
            "service/settings.py": "",
            "challenges/game/grading/grade.py": "from challenges.game import report",
            "challenges/game/report/page.py": "from challenges.game.grading.grade import x",
            "challenges/game/commands.py": "from challenges.game.report.page import x",
        },
    )
    circles = [circle.partition(";")[0] for circle in find_circles(imports)]
    assert circles == [
        "challenges.game.grading, challenges.game.report",
        "service.gpu, service.server, service.web",
    ]


def test_service_needs_no_notebook() -> None:
    for module, path in MODULES.items():
        if module.startswith("service."):
            text = path.read_text()
            assert not re.search(r"^\s*(from|import) (IPython|jupyter\w*)\b", text, re.M), module


def test_docstrings_can_be_read_alone() -> None:
    """None begins with a word that needs the line above it."""
    dependent = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in MODULES.values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
        and re.match(r"(Of|So (many|often)|Who(ever)?)\b", node.value.value.strip())
    ]
    assert dependent == []


def test_large_modules_have_tests_of_their_name() -> None:
    missing, large = list_without_namesake()
    assert len(missing) <= 0.3 * large, "\n".join([f"{len(missing)} of {large}:", *missing])


def test_few_tests_sleep() -> None:
    """Tests wait for a condition; they sleep only to be slow on purpose."""
    sleeps = [
        path.relative_to(ROOT).as_posix()
        for path in sorted((ROOT / "tests").rglob("*.py"))
        for _ in re.findall(r"time\.sleep\(", path.read_text())
    ]
    assert len(sleeps) <= 30, sleeps


@pytest.mark.parametrize(
    ("folder", "pattern", "most"),
    [("service", "*.py", 12), ("challenges/minimal_service/grading", "*.*", 8)],
)
def test_tops_of_packages_are_small(folder: str, pattern: str, most: int) -> None:
    files = sorted(path.name for path in (ROOT / folder).glob(pattern) if path.is_file())
    assert len(files) <= most, files


def test_modules_do_no_work_at_import() -> None:
    """No file is written, no socket opened, no process or thread started."""
    script = (
        "import importlib, sys\n"
        "def forbid(event, arguments):\n"
        "    writes = event == 'open' and set(str(arguments[1])) & set('wax+')\n"
        "    writes = writes and '__pycache__' not in str(arguments[0])\n"
        "    if writes or event in ('socket.connect', 'socket.bind', 'subprocess.Popen'):\n"
        "        raise AssertionError((event, arguments))\n"
        "import numpy, PIL.Image, fastapi, uvicorn, pydantic_settings, psutil, torch, torchvision\n"
        "import onnxruntime.quantization, onnx.reference, safetensors.torch\n"
        "sys.addaudithook(forbid)\n"
        "import threading; before = threading.active_count()\n"
        "for name in sys.argv[1:]: importlib.import_module(name)\n"
        "assert threading.active_count() == before\n"
        "print('quiet')"
    )
    modules = [
        name.removesuffix(".__init__")
        for name in MODULES
        if name.startswith("service.") and not name.endswith("__main__")
    ]
    done = run(sys.executable, "-c", script, *modules)
    assert done.stdout == "quiet\n", done.stderr
    assert done.stderr == ""
