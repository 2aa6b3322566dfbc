"""Time clip_inference on a folder of pictures, images only; the last line is JSON with images a second and where the seconds went.

    envs/clip-retrieval/.venv/bin/python envs/clip-retrieval/time_inference.py PICTURES DESTINATION CLIP_FOLDER

Reading is what the loop waits for pictures, whose decoding runs in processes of its own. Models are loaded before the clock runs.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from own_tokenizer import use_own_tokenizer

spent = {"computing": 0.0, "writing": 0.0}
clock = {"start": 0.0, "end": 0.0, "pictures": 0}


def main() -> None:
    """Run clip_inference with its own batch size and number of workers."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures")
    parser.add_argument("destination")
    parser.add_argument("model", type=Path)
    chosen = parser.parse_args()
    use_own_tokenizer(chosen.model)
    from clip_retrieval.clip_inference import main as clip_inference
    from clip_retrieval.clip_inference import worker

    begin = worker.FilesReader.__iter__
    worker.FilesReader.__iter__ = lambda reader: started(begin, reader)
    worker.ClipMapper.__call__ = counted(worker.ClipMapper.__call__, "computing")
    for name in ("__call__", "flush"):
        setattr(worker.NumpyWriter, name, counted(getattr(worker.NumpyWriter, name), "writing"))
    clip_inference.main(
        input_dataset=chosen.pictures,
        output_folder=chosen.destination,
        enable_text=False,
        clip_model=f"hf_clip:{chosen.model}",
        use_jit=False,
    )
    seconds = clock["end"] - clock["start"]
    print("\n" + json.dumps({"rate": clock["pictures"] / seconds, "reading": seconds - sum(spent.values()), **spent}))


def started(begin: Callable[..., Any], reader: Any) -> Any:
    """The reader's iterator; the clock runs from here."""
    clock["start"] = time.perf_counter()
    return begin(reader)


def counted(method: Callable[..., Any], name: str) -> Callable[..., Any]:
    """The same method; what it takes is added up, and its end may be the last."""

    def wrapped(owner: Any, *batch: Any) -> Any:
        before = time.perf_counter()
        answer = method(owner, *batch)
        clock["end"] = time.perf_counter()
        spent[name] += clock["end"] - before
        if name == "computing":
            clock["pictures"] += len(answer["image_embs"])
        return answer

    return wrapped


if __name__ == "__main__":
    main()
