"""Build clip-retrieval's index over an exported dataset and start its search service on the loopback address.

    envs/clip-retrieval/.venv/bin/python envs/clip-retrieval/search.py EXPORT --clip FOLDER --port 1234

EXPORT is a folder that `coemogen export --layout clip-retrieval` wrote; FOLDER holds the CLIP that embedded its pictures, for queries
in words. The index is built again when the export is newer. clip-retrieval binds every address of the machine and would fetch models for
options that are switched off here; the service runs in the export, because `image_path` is relative to it.
"""

import argparse
import json
import os
import shutil
from pathlib import Path

LOOPBACK = "127.0.0.1"
INDEX = "index"


def main() -> None:
    """Index, then serve until Ctrl-C."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("export", type=Path)
    parser.add_argument("--clip", type=Path, required=True)
    parser.add_argument("--port", type=int, default=1234)
    parser.add_argument("--index-only", action="store_true")
    chosen = parser.parse_args()
    if not (chosen.export / "img_emb").is_dir():
        parser.error(f"{chosen.export} holds no img_emb: write it with coemogen export --layout clip-retrieval")
    if not (chosen.clip / "config.json").is_file():
        parser.error(f"{chosen.clip} holds no CLIP model")
    build_index(chosen.export)
    if not chosen.index_only:
        serve(chosen.export, chosen.clip.resolve(), chosen.port)


def build_index(export: Path) -> None:
    """Build the index beside the embeddings, whole or not at all, unless one stands there that is newer."""
    index = export / INDEX
    written = [path.stat().st_mtime for kind in ("img_emb", "metadata") for path in (export / kind).iterdir()]
    if index.exists() and index.stat().st_mtime > max(written):
        return
    from clip_retrieval.clip_index import clip_index

    building = export / f".{INDEX}.building"
    shutil.rmtree(building, ignore_errors=True)
    clip_index(embeddings_folder=str(export), index_folder=str(building))
    shutil.rmtree(index, ignore_errors=True)
    building.rename(index)
    os.utime(index)


def serve(export: Path, clip: Path, port: int) -> None:
    """Answer `/knn-service` on the loopback address."""
    import flask
    from clip_retrieval.clip_back import clip_back
    from own_tokenizer import use_own_tokenizer

    use_own_tokenizer(clip)

    run = flask.Flask.run
    flask.Flask.run = lambda app, **options: run(app, **options | {"host": LOOPBACK})  # it asks for 0.0.0.0
    os.chdir(export)
    Path("indices.json").write_text(json.dumps({"emoart": INDEX}) + "\n")
    clip_back(
        indices_paths="indices.json",
        port=port,
        clip_model=f"hf_clip:{clip}",
        columns_to_return=["image_path", "caption", "label", "style", "artist", "licence"],
        enable_mclip_option=False,
        provide_aesthetic_embeddings=False,
        provide_safety_model=False,
        provide_violence_detector=False,
        use_jit=False,
    )


if __name__ == "__main__":
    main()
