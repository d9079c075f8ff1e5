"""Tasks of lesson 2: modules that can be imported, and tested."""

from challenges.tasks.catalogue import Task
from learner.language import _


def tasks() -> list[Task]:
    """The lesson's tasks, in order."""
    return [_cut_preprocess(), _parity_test(), _pickle_main(), _photo_formats()]


def _cut_preprocess() -> Task:
    return Task(
        id="cut-preprocess",
        lesson=2,
        file="preprocessing.py",
        title=_("Cut the preprocessing out"),
        ask=_(
            "Write `preprocess`: the bytes of an image file in, pixels out, as the notebook makes "
            "them. The module can be imported alone and does nothing at import."
        ),
        minutes=15,
        hints=(
            _(
                "A module that needs nothing can be tested, and used by the build and the service "
                "alike. So it takes bytes, not a request, and returns pixels, not an answer."
            ),
            _(
                "`corner`, above it, shows opening and errors. `image.resize((width, height), "
                "filter)` and `image.crop((left, top, right, bottom))` do the rest."
            ),
            _("Nearly the code:")
            + """
    try:
        image = Image.open(BytesIO(data), formats=FORMATS)
        if min(image.size) < MIN_SIDE or image.width * image.height > ...:
            raise ValueError(f"{image.width} × {image.height} pixels")
        image = upright_rgb(image)
    except Exception as error:
        raise ValueError(...) from error
    short = min(image.size)
    width, height = (int(RESIZE * side / short) for side in image.size)
    image = image.resize((width, height), Image.Resampling....)
    left, top = round((width - CROP) / 2), ...
    return np.asarray(image.crop((left, top, left + CROP, ...)))""",
        ),
    )


def _parity_test() -> Task:
    return Task(
        id="parity-test",
        lesson=2,
        file="test_parity.py",
        title=_("A test of the pixels"),
        ask=_(
            "Write a pytest test that compares the pixels of `preprocess` with those of the "
            "notebook's own code. It must notice three preprocessings that are wrong."
        ),
        minutes=10,
        seconds=180,
        hints=(
            _(
                "A wrong preprocessing raises no error: shape and type are right, the answers are "
                "a little worse. So a test must compare the pixels themselves."
            ),
            _(
                "For each photo: `preprocess(photo.read_bytes())` beside `notebook_pixels(photo)`. "
                "Both do the same steps, so only rounding may differ. How much is that?"
            ),
            _("Nearly the code:")
            + """
    @pytest.mark.parametrize("photo", PHOTOS, ids=lambda photo: photo.stem)
    def test_pixels_are_those_of_the_notebook(photo):
        ours = preprocess(photo.read_bytes()).astype(int)
        theirs = ...
        assert np.abs(ours - theirs).max() <= ...""",
        ),
    )


def _pickle_main() -> Task:
    return Task(
        id="pickle-main",
        lesson=2,
        file="pickled.py",
        title=_("Can't get attribute on __main__"),
        ask=_(
            "Save a network as an object, and see that another program cannot load it. Then save "
            "its state_dict, which any program that has the class can load."
        ),
        minutes=10,
        seconds=120,
        hints=(
            _(
                "A pickle does not hold a class, only the name of its module and its own name. "
                "A program that loads it must have the class under that very name."
            ),
            _("Each function has one or two lines: `torch.save(what, path)`, `torch.load(path)`."),
            _("Nearly the code:")
            + """
    torch.save(net, path)                          # save_object
    return torch.load(path, weights_only=...)      # load_object
    torch.save(net....(), path)                    # save_weights
    net = Net()                                    # load_weights
    net.load_state_dict(torch.load(path, weights_only=...))
    return ...""",
        ),
    )


def _photo_formats() -> Task:
    return Task(
        id="photo-formats",
        lesson=2,
        file="preprocessing.py",
        title=_("The photos that users send"),
        ask=_(
            "Write `upright_rgb`: photos that lie on their side, transparent ones, 16 bits and "
            "CMYK come out as 8-bit RGB, upright, over white."
        ),
        minutes=10,
        hints=(
            _(
                "A user sees the photo upright and over white. A model that gets different pixels "
                "answers another question, and raises no error."
            ),
            _(
                "Order counts: first turn, then 16 bits, then transparency, then RGB. What "
                "`convert` throws away cannot be seen afterwards."
            ),
            _("Nearly the code:")
            + """
    image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image).astype(np.uint16) >> ...).astype(np.uint8))
    if image.has_transparency_data:
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(..., image.convert("RGBA"))
    return image.convert(...)""",
        ),
        needs=("cut-preprocess",),
    )
