"""`python -m challenges.catalogue`: make the 1 GB model, and build the reference's artifact."""

import sys

from service.artifact.progress import Progress
from service.errors import OperatorError


def main() -> int:
    """Build both; return 0, or 1 after a line that says why."""
    from service.engines.torch_versions import check_torch_pair

    try:
        check_torch_pair()
        from challenges.catalogue.bundle import build_bundle

        with Progress() as progress:
            build_bundle(say=progress.say, note=progress.note)
    except OperatorError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\ninterrupted; nothing was left behind", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
