"""What a recording keeps of a run."""

from notebooks.panel.record import _select_news


def test_a_recording_keeps_new_latencies_and_not_the_whole_log() -> None:
    shown = [
        (1.0, "flow", {"phase": "starting"}),
        (1.1, "log", ["a", "b"]),
        (1.2, "latencies", {"start-up": [9.0]}),
        (1.3, "latencies", {"start-up": [9.0, 8.0, 7.0]}),
        (1.4, "latencies", {"start-up": [9.0, 8.0, 7.0]}),
        (1.5, "latencies", {"start-up": []}),
        (1.6, "latencies", {"start-up": [5.0]}),
    ]
    assert _select_news(shown) == [
        (1.0, "flow", {"phase": "starting"}),
        (1.2, "answered", ["start-up", 9.0]),
        (1.3, "answered", ["start-up", 8.0, 7.0]),
        (1.6, "answered", ["start-up", 5.0]),
    ]
