"""A measurement in a process of its own: no memory of the one before, one thread of arithmetic, no network."""

import json
import os
import subprocess
import sys
from pathlib import Path

from results_table import Row

ROOT = Path(__file__).parents[1]


def in_child(script: str, job: Row, **environment: str) -> Row:
    """Run `script --child JOB` and return what it prints last, a line of JSON.

    Raises:
        RuntimeError: it failed; the message is the end of what it said.
    """
    return printed_json([sys.executable, script, "--child", json.dumps(job)], **environment)


def printed_json(command: list[str], **environment: str) -> Row:
    """The JSON in the last line that a command prints. Raises RuntimeError as `in_child` does."""
    shared = {"OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | shared | environment)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    return dict(json.loads(done.stdout.splitlines()[-1]))
