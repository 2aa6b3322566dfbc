"""Makes the lab's models from nothing: `python -m coemogen_core.lab.build --work FOLDER [--only STAGE ...]`.

Stages keep their results in the work folder and are skipped when these exist; `install` writes them as half-precision safetensors into
the package. About three hours on two cores.
"""

import argparse
from pathlib import Path

import torch

from coemogen_core.lab.build.stages import STAGES

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for pools and unfinished models")
    parser.add_argument("--only", nargs="*", choices=list(STAGES), default=list(STAGES), help="stages to run, in this order")
    parser.add_argument("--threads", type=int, default=2, help="threads of torch")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    for stage in arguments.only:
        print(f"== {stage}", flush=True)
        STAGES[stage](arguments.work)
