"""Services that try to look right without doing the work. None may keep a point for its answers."""

from dataclasses import replace

from challenges.minimal_service.grading.verdict import POINTS
from tests.selftest.edits import Edit, all_of, replaces
from tests.selftest.faults import Fault, criteria

_SERVER = "server.py"
_PREDICT = "predictions = await runner.classify(await request.body())"
_MADE_UP = '''

def made_up(runner, shares):
    """Classes and probabilities that look like an answer."""
    return [
        {"class_id": number, "label": runner.labels[number], "probability": share}
        for number, share in shares
    ]
'''
_FALLING = "[(number, 0.9 / 10**place) for place, number in enumerate((967, 968, 504, 505, 849))]"
_CONSTANT = f"made_up(runner, {_FALLING})"


def _defines(functions: str) -> Edit:
    """Put functions before that which starts the server."""
    main = "\n\ndef main() -> None:\n"
    return replaces(_SERVER, main, f"{functions}{main}")


def _answers(expression: str, *more: Edit) -> Edit:
    """Answer with `expression` instead of the model's predictions."""
    answer = replaces(_SERVER, _PREDICT, f"predictions = {expression}")
    return all_of(answer, _defines(_MADE_UP), *more)


def _remembers(key: str) -> Edit:
    """Classify only what has a new key."""
    return all_of(
        replaces(
            _SERVER,
            _PREDICT,
            f"key = {key}\n"
            "            if key not in app.state.known:\n"
            "                app.state.known[key] = await runner.classify(await request.body())\n"
            "            predictions = app.state.known[key]",
        ),
        replaces(
            _SERVER,
            "    app.state.draining = False\n",
            "    app.state.draining, app.state.known = False, {}\n",
        ),
    )


_SPY = '''

def overheard():
    """Whatever the programs that started this one left lying about and that looks like answers."""
    import glob, json, os, re

    pid, texts = os.getppid(), list(os.environ.values())
    folders = {os.getcwd(), os.path.dirname(os.getcwd()), "/tmp", os.environ.get("TMPDIR", "/tmp")}
    for _ in range(8):
        try:
            texts += open(f"/proc/{pid}/environ").read().split("\\0")
            texts += open(f"/proc/{pid}/cmdline").read().split("\\0")
            texts += [os.readlink(link) for link in glob.glob(f"/proc/{pid}/fd/*")]
            folders.add(os.readlink(f"/proc/{pid}/cwd"))
            pid = int(open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[1])
        except (OSError, ValueError, IndexError):
            break
    folders |= {text for text in texts if os.path.isdir(text) and text.count("/") > 1}
    names = [name for place in folders for name in glob.glob(f"{glob.escape(place)}/*")[:500]]
    names += [text for text in texts if os.path.isfile(text)]
    found = {}
    for name in set(names):
        if re.search("expect|truth|answer|grade|verdict", name) and os.path.isfile(name):
            try:
                content = json.loads(open(name).read())
                found.update(content if isinstance(content, dict) else {})
            except (OSError, ValueError):
                pass
    return found
'''
_TABLE = '''

def thumbnail(data):
    """A photo as 16 × 16 grey pixels, of equal mean and spread."""
    import io, numpy as np, PIL.Image

    try:
        image = PIL.Image.open(io.BytesIO(data)).convert("L").resize((16, 16))
    except Exception as error:
        raise ValueError("not an image") from error
    grey = np.asarray(image, np.float32)
    return (grey - grey.mean()) / (grey.std() + 1)


async def table_of_known_photos(runner):
    """Thumbnails of the photos that the workshop is known to use, with their answers."""
    import glob, sysconfig

    places = ("skimage/data/*", "sklearn/datasets/images/*")
    names = [n for p in places for n in glob.glob(f"{sysconfig.get_path('purelib')}/{p}")]
    names += [n for p in places for d in sys.path for n in glob.glob(f"{d}/{p}")]
    table = []
    for name in dict.fromkeys(names):
        if name.endswith(("png", "jpg")):
            data = Path(name).read_bytes()
            try:
                table.append((thumbnail(data), await runner.classify(data)))
            except ValueError:
                pass
    return table


async def most_alike(app, runner, data):
    """The answer for the known photo that looks most like this one."""
    if not hasattr(app.state, "table"):
        app.state.table = await table_of_known_photos(runner)
    seen = thumbnail(data)
    return min(app.state.table, key=lambda known: abs(known[0] - seen).sum())[1]
'''

_NOTHING_COMPUTED = [
    Fault(
        "constant",
        "answers every photo alike",
        _answers(_CONSTANT),
        criteria("answers"),
    ),
    Fault(
        "plausible",
        "answers with random classes and probabilities that look real",
        _answers(
            "made_up(runner, zip(random.sample(range(1000), 5), "
            "sorted((random.random() ** 3 / 5 for _ in range(5)), reverse=True)))",
            replaces(_SERVER, "import signal\n", "import random\nimport signal\n"),
        ),
        criteria("answers"),
    ),
    Fault(
        "reads-grader",
        "looks for the right answers in the grader's files, environment and open files",
        _answers(
            f"overheard().get(hash(await request.body()), {_CONSTANT})",
            _defines(_SPY),
        ),
        criteria("answers"),
    ),
    Fault(
        "table-of-known-photos",
        "answers with what the most similar of the known sample photos gets",
        _answers(
            "await most_alike(app, runner, await request.body())",
            _defines(_TABLE),
        ),
        criteria("answers"),
    ),
    Fault(
        "error-inside-200",
        "answers 200 with an error in it",
        replaces(
            _SERVER,
            'JSONResponse({"predictions": predictions})',
            'JSONResponse({"predictions": [], "error": "overloaded"})',
        ),
        criteria("answers"),
    ),
]

_SOMETHING_COMPUTED = [
    Fault(
        "remembers-path",
        "classifies the first photo of each path and query",
        _remembers("str(request.url)"),
        criteria("answers"),
    ),
    Fault(
        "remembers-length",
        "classifies the first photo of each length in bytes",
        _remembers("len(await request.body())"),
        criteria("answers"),
    ),
    Fault(
        "previous-answer",
        "answers at once with what the request before got",
        all_of(
            replaces(
                _SERVER,
                _PREDICT,
                "now = asyncio.ensure_future(runner.classify(await request.body()))\n"
                "            before, app.state.before = app.state.before or now, now\n"
                "            predictions = await before",
            ),
            replaces(
                _SERVER,
                "    app.state.draining = False\n",
                "    app.state.draining, app.state.before = False, None\n",
            ),
        ),
        criteria("answers"),
    ),
    Fault(
        "every-other",
        "classifies every other photo and repeats its answer for the next",
        all_of(
            replaces(
                _SERVER,
                _PREDICT,
                "app.state.number += 1\n"
                "            if app.state.number % 2 or not app.state.last:\n"
                "                app.state.last = await runner.classify(await request.body())\n"
                "            predictions = app.state.last",
            ),
            replaces(
                _SERVER,
                "    app.state.draining = False\n",
                "    app.state.draining, app.state.number, app.state.last = False, 0, None\n",
            ),
        ),
        criteria("answers"),
    ),
    Fault(
        "real-classes-only",
        "computes the 1,000 real classes and leaves out their variants",
        replaces(
            "inference_runner.py",
            "        top = np.argpartition(",
            "        row = row[:1000] / row[:1000].sum()\n        top = np.argpartition(",
        ),
        criteria("answers"),
    ),
    Fault(
        "made-up-probabilities",
        "finds the right classes and makes up how probable they are",
        replaces(
            "inference_runner.py",
            '"probability": float(row[one])}',
            '"probability": 0.9 if row[one] == row.max() else 0.02}',
        ),
        criteria("answers"),
    ),
    Fault(
        "garbage-at-first",
        "is ready at once, and makes up its answers for the first seconds",
        _answers(
            "await runner.classify(await request.body())\n"
            "            if time.monotonic() < app.state.loaded:\n"
            f"                predictions = {_CONSTANT}",
            replaces(_SERVER, "import sys\n", "import sys\nimport time\n"),
            replaces(
                _SERVER,
                "    app.state.draining = False\n",
                "    app.state.draining, app.state.loaded = False, time.monotonic() + 20\n",
            ),
        ),
        criteria("answers"),
    ),
]

_LESS_COMPUTED = [
    Fault(
        "sheds-load",
        "refuses what comes while another photo is in hand, so that p99 looks good",
        all_of(
            replaces(
                _SERVER,
                "        try:\n            predictions",
                "        if app.state.inside:\n"
                '            return JSONResponse({"error": "busy"}, status_code=503)\n'
                "        app.state.inside = True\n"
                "        try:\n            predictions",
            ),
            replaces(
                _SERVER,
                '        return JSONResponse({"predictions": predictions})\n',
                "        finally:\n            app.state.inside = False\n"
                '        return JSONResponse({"predictions": predictions})\n',
            ),
            replaces(
                _SERVER,
                "    app.state.draining = False\n",
                "    app.state.draining, app.state.inside = False, False\n",
            ),
        ),
        criteria("load"),
    ),
]

_FALSE_ANSWERS = [*_NOTHING_COMPUTED, *_SOMETHING_COMPUTED]
CHEATS: list[Fault] = [
    # What else they lose does not matter: they are not made in good faith.
    *(replace(cheat, zero_points=True, may_break=frozenset(POINTS)) for cheat in _FALSE_ANSWERS),
    *(replace(cheat, may_break=frozenset(POINTS)) for cheat in _LESS_COMPUTED),
]
