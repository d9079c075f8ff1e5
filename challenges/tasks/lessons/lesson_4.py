"""Tasks of lesson 4: the model service itself."""

from challenges.tasks.catalogue import Task
from learner.language import _


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return [_endpoint(), _off_the_loop(), _load_once(), _readyz(), _drain(), _open_loop()]


def _endpoint() -> Task:
    return Task(
        id="endpoint",
        lesson=4,
        file="server.py",
        title=_("The endpoint"),
        ask=_(
            "Write `add_predict`: POST /predict takes an image file as the body and answers with "
            "the runner's predictions. Each error gets the status of the contract."
        ),
        minutes=15,
        hints=(
            _(
                "A status says whose fault it was. 4xx: the client sent something wrong. 503: try "
                "again later. 500: a bug of the service. Only errors that you expect are caught."
            ),
            _(
                "`add_size`, above it, has the form. `await request.body()` gives the bytes. Put "
                "`await runner.classify(...)` into a `try`, with an `except` for each error."
            ),
            _("Nearly the code:")
            + """
    @app.post("/predict")
    async def predict(request: Request) -> JSONResponse:
        try:
            predictions = await runner.classify(...)
        except ValueError as error:
            return JSONResponse({"error": str(error)}, status_code=...)
        except BusyError as error:
            return JSONResponse(..., 503, headers={...})
        return JSONResponse(...)""",
        ),
    )


def _off_the_loop() -> Task:
    return Task(
        id="off-the-loop",
        lesson=4,
        file="blocking.py",
        title=_("On the event loop, and off it"),
        ask=_(
            "Write three handlers that do the same work: as `async def`, as `def`, and by "
            "`asyncio.to_thread`. The check measures how long /livez waits beside each."
        ),
        minutes=10,
        hints=(
            _(
                "The event loop serves all connections in one thread. It can serve others only "
                "while a handler awaits something. Computing is not waiting."
            ),
            _(
                "All three call `work`. FastAPI runs a handler with `def` in a thread of a pool; "
                "`asyncio.to_thread` gets the function itself, without brackets after it."
            ),
            _("Nearly the code:")
            + """
    @app.get("/async-def")
    async def on_the_loop() -> dict:
        return {"result": ...}

    @app.get("/def")
    def in_the_pool() -> dict:
        return {"result": ...}

    @app.get("/to-thread")
    async def waiting_for_a_thread() -> dict:
        return {"result": await asyncio.to_thread(...)}""",
        ),
    )


def _load_once() -> Task:
    return Task(
        id="load-once",
        lesson=4,
        file="server.py",
        title=_("Load once, before the port opens"),
        ask=_(
            "Change `start`: so far each request loads the model. Load it once, and open the port "
            "only after that."
        ),
        minutes=5,
        hints=(
            _(
                "What happens before the port opens, no user waits for. What a handler does, "
                "everybody waits for, again and again."
            ),
            _("A lambda runs when it is called, with each request. Make the model before it."),
            _("Nearly the code:")
            + """
    model = ...
    runner = InferenceRunner(model....)
    app = create_app(runner)
    app.state.ready = True""",
        ),
        needs=("endpoint",),
    )


def _readyz() -> Task:
    return Task(
        id="readyz",
        lesson=4,
        file="server.py",
        title=_("Ready, or not"),
        ask=_(
            "Change `readyz`: it answers 503 as long as `app.state.ready` is False, and 200 else. "
            "`/livez` stays as it is."
        ),
        minutes=5,
        hints=(
            _(
                "Alive: the process runs. Ready: it wants requests. A load balancer sends users "
                "only to services that are ready; a supervisor restarts those that are not alive."
            ),
            _("`app.state.ready` is read inside the handler, since it changes later."),
            _("Nearly the code:")
            + """
    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        if not app.state.ready:
            return JSONResponse({"status": "not ready"}, status_code=...)
        return JSONResponse({"status": "ready"})""",
        ),
    )


def _drain() -> Task:
    return Task(
        id="drain",
        lesson=4,
        file="server.py",
        title=_("Drain on SIGTERM"),
        ask=_(
            "Write `handle_exit`: on SIGTERM `/readyz` says 503 at once, DRAIN_SECONDS later no "
            "new requests are taken, and the process ends with status 0. No request is lost."
        ),
        minutes=15,
        hints=(
            _(
                "Others need a moment to hear that this service is not ready. So it serves on for "
                "that moment. Only then it closes the port, and finishes what it has accepted."
            ),
            _(
                "Two lines: one sets `self.config.app.state.ready`, one starts a `threading.Timer` "
                "which sets `self.should_exit`. `setattr(object, name, value)` sets something."
            ),
            _("Nearly the code:")
            + """
    def handle_exit(self, sig, frame) -> None:
        self.config.app.state.ready = ...
        threading.Timer(DRAIN_SECONDS, setattr, (self, "should_exit", ...)).start()""",
        ),
        needs=("load-once", "readyz"),
    )


def _open_loop() -> Task:
    return Task(
        id="open-loop",
        lesson=4,
        file="sender.py",
        title=_("An open-loop sender"),
        ask=_(
            "Write `send`: each request leaves when it is due, whether or not earlier ones were "
            "answered. Its latency counts from the moment due."
        ),
        minutes=15,
        hints=(
            _(
                "Users do not wait for each other. A sender that waits for answers slows down with "
                "the service, and so it never sees the queue that real users would stand in."
            ),
            _(
                "One thread a request. The sender itself only sleeps until the next moment and "
                "starts the next thread. The thread notes the latency when its answer is there."
            ),
            _("Nearly the code:")
            + """
    latencies_ms = [None] * len(due)
    start = time.perf_counter()

    def send_one(i):
        try:
            request(i)
        except Exception:
            return
        latencies_ms[i] = (time.perf_counter() - (start + ...)) * 1000

    threads = [threading.Thread(target=send_one, args=(i,)) for i in range(len(due))]
    for moment, thread in zip(due, threads, strict=True):
        time.sleep(max(0, start + moment - ...))
        thread.start()
    for thread in threads:
        thread....()
    return latencies_ms""",
        ),
    )
