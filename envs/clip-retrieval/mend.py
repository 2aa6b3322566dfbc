"""Declares torchvision's operators where they cannot load, as in the captioner's environment, and checks that clip-retrieval starts.

envs/clip-retrieval/.venv/bin/python envs/clip-retrieval/mend.py
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "captioner"))

from mend import declare_torchvision_operators, import_error, installed_version  # the captioner's


def main() -> None:
    """Mend, then check. Raises SystemExit with a message when it does not start."""
    declare_torchvision_operators()
    if (error := import_error("clip_retrieval.clip_back")) is not None:
        raise SystemExit(f"clip-retrieval cannot be imported in {sys.prefix}: {error}")
    print(f"clip-retrieval {installed_version('clip-retrieval')} is ready in {sys.prefix}")


if __name__ == "__main__":
    main()
