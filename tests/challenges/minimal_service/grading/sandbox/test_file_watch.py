"""Opened and read files are seen, also in folders that are new."""

from pathlib import Path

import pytest

from challenges.minimal_service.grading.sandbox.file_watch import Watcher, can_watch

needs_inotify = pytest.mark.skipif(
    not can_watch(Path(__file__).parent), reason="opened files cannot be seen here"
)


@needs_inotify
def test_files_in_folders_that_come_later_are_seen(tmp_path: Path) -> None:
    with Watcher([tmp_path, tmp_path / "none"]) as watcher:
        (tmp_path / "new").mkdir()
        assert watcher.take() == []
        (tmp_path / "new/file").write_bytes(b"1")
        (tmp_path / "new/file").read_bytes()
        assert {event.path.name for event in watcher.take()} == {"file"}
