"""Where things lie: the workshop, and the learner's own folder."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
"""The repository."""
FOLDER_VARIABLE = "WORKSHOP_FOLDER"


def folder_path() -> Path:
    """The learner's folder, which may not exist yet: `my_work`, or what WORKSHOP_FOLDER names."""
    return Path(os.environ.get(FOLDER_VARIABLE) or ROOT / "my_work")
