"""Shortcuts named in the grader's THREATS.md. None may keep a point for its answers."""

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


def _define(functions: str) -> Edit:
    """Return an edit that adds functions to the server."""
    main = "\n\ndef main() -> None:\n"
    return replaces(_SERVER, main, f"{functions}{main}")


def _answer_with(expression: str, *more: Edit) -> Edit:
    """Return an edit that answers with `expression` instead of the model's predictions."""
    answer = replaces(_SERVER, _PREDICT, f"predictions = {expression}")
    return all_of(answer, _define(_MADE_UP), *more)


def _cache_by_url() -> Edit:
    """Return an edit that classifies only the first photo of each URL."""
    return all_of(
        replaces(
            _SERVER,
            _PREDICT,
            "key = str(request.url)\n"
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
        _answer_with(_CONSTANT),
        criteria("answers"),
    ),
    Fault(
        "table-of-known-photos",
        "answers with what the most similar of the known sample photos gets",
        _answer_with(
            "await most_alike(app, runner, await request.body())",
            _define(_TABLE),
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
        "caches-by-url",
        "answers from a cache with the URL as its key",
        _cache_by_url(),
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
    # What else they lose does not matter.
    *(replace(cheat, zero_points=True, may_break=frozenset(POINTS)) for cheat in _FALSE_ANSWERS),
    *(replace(cheat, may_break=frozenset(POINTS)) for cheat in _LESS_COMPUTED),
]
