"""Each plot is a picture with words that state what it shows."""

import base64
import io

import numpy as np
import pytest
from matplotlib import rcParams
from PIL import Image

from learner.language import speaking
from notebooks.workshop.plots import COLOURS, bars, latencies, style
from tests.notebooks.workshop.conftest import Shown


def picture_of(page: dict[str, str]) -> Image.Image:
    data = page["text/html"].split("base64,")[1].split('"')[0]
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_bars_name_every_value(shown: Shown) -> None:
    bars({"a <b>": 2.0, "c": 1234.0}, unit="ms", title="Times", target=50)
    assert shown.text == "Times: a <b>: 2 ms; c: 1,234 ms"
    assert 'alt="Times: a &lt;b&gt;: 2 ms; c: 1,234 ms"' in shown[0]["text/html"]
    assert picture_of(shown[0]).format == "WEBP"


def test_more_bars_than_colours_are_drawn(shown: Shown) -> None:
    names = [f"bar {number}" for number in range(len(COLOURS) + 2)]
    bars(dict.fromkeys(names, 1.0), unit="s")
    assert all(name in shown.text for name in names)


def test_latencies_name_median_and_tail(shown: Shown) -> None:
    latencies({"fast": np.arange(1, 101), "slow": [500.0] * 10}, title="Latency")
    assert shown.text == (
        "Latency; fast: p50 51 ms, p99 100 ms, 100 requests; "
        "slow: p50 500 ms, p99 500 ms, 10 requests"
    )


def test_requests_without_an_answer_count_as_infinitely_late(shown: Shown) -> None:
    latencies({"naive": [100_000.0, 200_000.0, float("inf")]})
    assert shown.text == "naive: p50 200,000 ms, p99 ∞ ms, 3 requests, 1 without an answer"


def test_only_japanese_plots_have_a_japanese_font() -> None:
    for code, japanese in (("en", False), ("ja", True), ("en", False)):
        with speaking(code), style():
            assert (rcParams["font.family"] == ["IPAexGothic"]) == japanese


@pytest.mark.parametrize("target", [None, 50.0])
def test_a_target_is_optional(target: float | None, shown: Shown) -> None:
    latencies({"one": [10.0, 20.0]}, target_ms=target)
    assert shown.text == "one: p50 20 ms, p99 20 ms, 2 requests"
