"""Tasks of lesson 4: the model service itself."""

from challenges.tasks.catalogue import Task
from learner.language import _


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return [_endpoint(), _load_once(), _readyz(), _drain()]


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
