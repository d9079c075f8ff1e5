"""Opened and read files are seen, even in new folders, wherever the kernel reports them."""

import subprocess
from pathlib import Path

import pytest

from challenges.minimal_service.grading.sandbox import file_watch
from challenges.minimal_service.grading.sandbox.file_watch import can_watch, watch_files

needs_inotify = pytest.mark.skipif(
    not can_watch(Path(__file__).parent), reason="opened files cannot be seen here"
)


@needs_inotify
def test_files_in_folders_that_come_later_are_seen(tmp_path: Path) -> None:
    with watch_files(tmp_path, [tmp_path, tmp_path / "none"]) as watcher:
        assert watcher is not None
        (tmp_path / "new").mkdir()
        assert watcher.take() == []
        (tmp_path / "new/file").write_bytes(b"1")
        (tmp_path / "new/file").read_bytes()
        assert {event.path.name for event in watcher.take()} == {"file"}


@needs_inotify
def test_another_process_and_the_size_of_its_file_are_seen(tmp_path: Path) -> None:
    (tmp_path / "weights").write_bytes(b"12345")
    with watch_files(tmp_path) as watcher:
        assert watcher is not None
        subprocess.run(["cat", tmp_path / "weights"], check=True, stdout=subprocess.DEVNULL)
        events = watcher.take()
    assert {(event.path.name, event.size) for event in events} == {("weights", 5)}
    assert any(event.read for event in events)


@needs_inotify
def test_too_many_folders_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in "abc":
        (tmp_path / name).mkdir()
    monkeypatch.setattr(file_watch, "_MOST_FOLDERS", 2)
    with watch_files(tmp_path) as watcher:
        assert watcher is not None
        assert not watcher.complete


def test_where_nothing_can_be_seen_there_is_no_watcher(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watch, "can_watch", lambda _folder: False)
    with watch_files(tmp_path) as watcher:
        assert watcher is None
