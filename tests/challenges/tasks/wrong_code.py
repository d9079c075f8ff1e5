"""What learners write wrongly: for each task edits of its solution, and what the verdict names."""

from typing import NamedTuple


class Edit(NamedTuple):
    """A piece of the solution, what stands there instead, and a word of the verdict."""

    old: str
    new: str
    named: str


WRONG: dict[str, dict[str, Edit]] = {
    "repair-predict": {
        "a global": Edit(
            "    image = Image.open", "    global image\n    image = Image.open", "image"
        ),
        "a name of the notebook": Edit("labels[p", "CLASSES[p", "CLASSES"),
        "always the first": Edit("labels[p.argmax()]", "labels[0]", "'red'"),
    },
    "latency-percentile": {
        "failed left out": Edit(
            "math.inf if one is None else one for one in latencies_ms",
            "one for one in latencies_ms if one is not None",
            "20 of 1,000 requests failed",
        ),
        "0 ms failed": Edit("if one is None", "if not one", "990 requests took 0.0 ms"),
        "any number": Edit("if len(latencies_ms) < needed", "if not latencies_ms", "999 requests"),
        "off by one": Edit(" - 1], len", "], len", "990.0"),
        "no number": Edit(", len(waits)\n", "\n", "returned 990.0"),
    },
    "cut-preprocess": {
        "another filter": Edit("BICUBIC", "BILINEAR", "bilinear filter"),
        "as numbers from 0 to 1": Edit(
            "return np.asarray(resize_and_crop(image))",
            "return np.asarray(resize_and_crop(image)) / 255",
            "float64",
        ),
        "red and blue": Edit(
            "return np.asarray(resize_and_crop(image))",
            "return np.asarray(resize_and_crop(image))[..., ::-1]",
            "Red and blue are swapped",
        ),
        "tiny ones": Edit("min(width, height) < MIN_SIDE or ", "", "8 × 8 pixels"),
        "writes at import": Edit(
            "FORMATS = (", 'open("notes.txt", "w").write("x")\nFORMATS = (', "notes.txt"
        ),
        "torch": Edit("import numpy as np\n", "import numpy as np\nimport torch\n", "torch"),
        "another error": Edit("raise ValueError(f\"not", "raise TypeError(f\"not", "TypeError"),
    },
    "parity-test": {
        "too far apart": Edit(".max() <= 1", ".mean() <= 20", "bilinear"),
        "nothing is right": Edit(".max() <= 1", ".max() < 0", "It failed"),
        "no test": Edit("def test_pixels", "def pixels", "no test"),
    },
    "pickle-main": {
        "no object": Edit("torch.save(net, path)", "torch.save(net.state_dict(), path)", "loaded"),
        "no weights": Edit(
            "    net.load_state_dict(torch.load(path, weights_only=True))\n", "", "other numbers"
        ),
    },
    "photo-formats": {
        "not turned": Edit("image = ImageOps.exif_transpose(image)", "pass", "orientation 3"),
        "black": Edit('image.size, "white")', 'image.size, "black")', "RGBA"),
        "low byte": Edit(">> 8", "& 255", "16-bit"),
        "no transparency": Edit("if image.has_transparency_data", "if False", "RGBA"),
    },
    "endpoint": {
        "all errors": Edit("except ValueError as error", "except Exception as error", "BusyError"),
        "no Retry-After": Edit(', headers={"Retry-After": "1"}', "", "no such header"),
        "predictions alone": Edit('{"predictions": predictions}', "predictions", "class_id"),
        "200 for all": Edit("status_code=400", "status_code=200", "The status was 200"),
        "no reason": Edit('{"error": str(error)}, status_code=400', "{}, status_code=400", "{}"),
    },
    "off-the-loop": {
        "never on the loop": Edit("async def on_the_loop", "def on_the_loop", "/livez waited"),
        "on the loop": Edit("await asyncio.to_thread(work)", "work()", "1 of them on the event"),
        "a missing route": Edit('@app.get("/def")', '@app.get("/other")', "404"),
    },
    "load-once": {
        "with each request": Edit(
            "InferenceRunner(model.classify)",
            "InferenceRunner(lambda data: Model(artifact).classify(data))",
            "6 times",
        ),
        "in the background": Edit(
            "    model = Model(artifact)\n    runner = InferenceRunner(model.classify)",
            "    models = []\n"
            "    threading.Thread(target=lambda: models.append(Model(artifact))).start()\n"
            "    runner = InferenceRunner(lambda data: models[0].classify(data))",
            "not loaded yet",
        ),
    },
    "readyz": {
        "always": Edit("if not app.state.ready", "if False", "status was 200"),
        "never": Edit("if not app.state.ready", "if True", "status was 503"),
        "read once": Edit(
            '    @app.get("/readyz")\n    async def readyz() -> JSONResponse:\n'
            "        if not app.state.ready:",
            "    is_ready = app.state.ready\n\n"
            '    @app.get("/readyz")\n    async def readyz() -> JSONResponse:\n'
            "        if not is_ready:",
            "status was 503",
        ),
    },
    "drain": {
        "still ready": Edit("self.config.app.state.ready = False", "pass", "/readyz"),
        "at once": Edit("threading.Timer(DRAIN_SECONDS", "threading.Timer(0", "SIGTERM"),
        "by the signal": Edit(
            "        stop.start()\n",
            "        stop.start()\n        super().handle_exit(sig, frame)\n",
            "exit status 143",
        ),
    },
    "open-loop": {
        "closed": Edit("thread.start()\n", "thread.start(); thread.join()\n", "late"),
        "all at once": Edit("time.sleep(max(0,", "time.sleep(0 * max(0,", "not before"),
        "from the sending": Edit(
            "(start + due[i])", "(start + max(0, due[i]))", "before the start"
        ),
        "does not wait": Edit("        thread.join()\n", "        pass\n", "returned when"),
        "in seconds": Edit(" * 1000\n", "\n", "milliseconds"),
        "a failure takes no time": Edit("[None] * len(due)", "[0.0] * len(due)", "None"),
    },
    "export-onnx": {
        "another normalisation": Edit("(images - MEAN) / DEVIATION", "images / 255", "differ by"),
        "a fixed batch": Edit(
            '        dynamic_shapes=({0: torch.export.Dim("batch", min=1)},),\n', "", "fixed: 2"
        ),
    },
    "quantise": {
        "one step for all": Edit("per_channel=True", "per_channel=False", "changed"),
        "the first layers, too": Edit("layers[:FLOAT_LAYERS]", "[]", "first layers"),
        "not of photos": Edit("Batches(pixels)", "Batches(np.zeros_like(pixels))", "changed"),
    },
    "manifest": {
        "not itself": Edit(
            "(artifact / OWN).read_bytes() != sha256(artifact / MANIFEST).encode()",
            "not (artifact / OWN).read_bytes()",
            "manifest.json",
        ),
        "no name": Edit('f"{name} was changed: SHA-256', 'f"wrong: SHA-256', "names the file"),
        "a word only": Edit('raise ValueError(f"{name} was', 'print(f"{name} was', "was accepted"),
        "the first bytes": Edit(
            'return hashlib.file_digest(file, "sha256").hexdigest()',
            "return hashlib.sha256(file.read(1000)).hexdigest()",
            "all files",
        ),
        "whole ones, too": Edit(
            "if (found := sha256(artifact / name)) != expected",
            "if (found := sha256(artifact / name))",
            "accepts an artifact",
        ),
    },
    "runner": {
        "on the event loop": Edit(
            "return await asyncio.wrap_future(answer)", "return answer.result()", "At most 1"
        ),
        "one thread": Edit("in range(threads)", "in range(1)", "At most 1"),
        "a bad image ends it": Edit("except Exception as error", "except OSError as error", "wait"),
        "no bound": Edit("queue.Queue(MOST_WAITING)", "queue.Queue()", "0 got it"),
        "who has left": Edit(
            "            if not answer.set_running_or_notify_cancel():\n                continue",
            "            if False:\n                continue",
            "callers had left",
        ),
        "does not wait": Edit("            thread.join()", "            pass", "still run"),
        "the last first": Edit(
            "queue.Queue = queue.Queue(", "queue.Queue = queue.LifoQueue(", "order"
        ),
    },
    "classifier": {
        "counted twice": Edit(
            "        total = total - torch.exp(best.values - highest).sum(1, keepdim=True)\n",
            "",
            "counted once",
        ),
        "roughly": Edit(
            "top = exact.topk", "exact = best.values\n        top = exact.topk", "differ"
        ),
        "all rows": Edit(
            "self.rows[best.indices].float()", "self.rows.float()[best.indices]", "weight"
        ),
    },
    "container-file": {
        "latest": Edit("python:3.11-slim", "python:latest", "latest"),
        "root": Edit("USER 10001", "USER root", "USER root"),
        "a shell": Edit(
            '["python3", "server.py", "--host", "0.0.0.0", "--port", "8000", "--artifact", '
            '"artifact"]',
            "python3 server.py --host 0.0.0.0 --port 8000",
            "no shell",
        ),
        "no version": Edit("numpy==2.4.6", "numpy", "Without a version: numpy"),
        "torch": Edit("pillow==13.0.0", "pillow==13.0.0 torch==2.15.0", "torch"),
        "a file is missing": Edit("manifest.py ", "", "Missing: manifest.py"),
        "for itself": Edit("0.0.0.0", "127.0.0.1", "all addresses"),
        "code first": Edit(
            "WORKDIR /app\n", "WORKDIR /app\nCOPY server.py ./\n", "packages before"
        ),
        "no health check": Edit("HEALTHCHECK CMD", "LABEL check=", "HEALTHCHECK"),
    },
    "ci-gate": {
        "NaN passes": Edit("if any(math.isnan", "if None and any(math.isnan", "NaN"),
        "unsure ones count": Edit('best[0]["probability"] >= SURE]', "best]", "not sure of"),
        "nothing is enough": Edit("    if not sure:", "    if False:", "nothing was compared"),
        "one is too many": Edit("if share < LEAST_SAME", "if share < 1", "95 %"),
        "any order": Edit(
            'candidate[photo][0]["class_id"] == released[photo][0]["class_id"]',
            'released[photo][0]["class_id"] in [one["class_id"] for one in candidate[photo]]',
            "5 different first classes",
        ),
        "no status": Edit("sys.exit(f", "print(f", "status 0"),
    },
    "release": {
        "by chance": Edit(
            "    digest = hashlib.sha256(name.encode()).digest()\n",
            "    digest = __import__('os').urandom(8)\n",
            "went back",
        ),
        "hash of Python": Edit(
            "int.from_bytes(digest[:8]) / 2**64", "hash(name) % 10**6 / 10**6", "different process"
        ),
        "others with each share": Edit(
            "sha256(name.encode())", "sha256(f'{name}{share}'.encode())", "stays moved"
        ),
        "failures wait": Edit(
            "    if failed > MOST_FAILED:\n        return \"back\"\n", "", "failed=2"
        ),
        "too early": Edit("compared < FEWEST_COMPARED", "compared < 1", "wait"),
        "never back": Edit("return \"back\" if different", "return \"on\" if different", "back"),
    },
    "counter": {
        "failures unseen": Edit("status = 500  #", "status = 200  #", "status 500"),
        "itself": Edit('if request.url.path != "/metrics"', "if True", "requests with status"),
        "a gauge": Edit("service_requests_total counter", "service_requests_total gauge", "TYPE"),
        "all as one": Edit("counts[status] += 1", "counts[200] += 1", "requests with status"),
        "no format": Edit('{{status="{status}"}} {number}', " {status}: {number}", "Prometheus"),
    },
    "error-budget": {
        "failures left out": Edit("one is None or", "one and", "None"),
        "a share only": Edit(" / (1 - objective)", "", "rate of 1"),
        "exactly is late": Edit("one > in_time_ms", "one >= in_time_ms", "exactly 50 ms"),
        "no requests": Edit("    if not latencies_ms:\n", "    if False:\n", "No requests"),
        "never empty": Edit(' if rate else float("inf")', "", "days_left"),
    },
    "skew-alert": {
        "a fixed distance": Edit("LIMIT * error", "0.1", "normalised otherwise"),
        "any move": Edit("> LIMIT * error", "> 0.3 * error", "clean"),
        "few are enough": Edit("len(recent) < LEAST_ANSWERS", "not recent", "too few"),
        "down only": Edit("abs(fmean(recent)", "-(fmean(recent)", "surer"),
    },
}  # fmt: skip
