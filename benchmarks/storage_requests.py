"""Requests to an object store that a part costs in every stage, when it is made and when it stands already.

    .venv/bin/python benchmarks/storage_requests.py --json storage_requests.json

Drawn photos and the lab's models; the workspace is `memory://`, with a wrapper that counts as s3fs sends (see counting_storage). Counted is
the second part, whose process has loaded its models, and what the stage asks once is not in it.
"""

import argparse
import tempfile
from collections import Counter
from pathlib import Path

from captioning import stub_server
from counting_storage import counted_requests
from results_table import Row, report, row

BAR = 6
SOURCE = "photos"


def main() -> None:
    """Count every stage, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="storage-requests-") as folder, stub_server() as endpoint:
        found = count_requests(Path(folder), endpoint)
    for (stage, when), requests in found.items():
        print(f"{stage}, {when}: {dict(sorted(requests.items()))}")
    report([_row(stage, when, requests) for (stage, when), requests in found.items()], chosen.json)


def _row(stage: str, when: str, requests: Counter[str]) -> Row:
    return row(f"{stage}: a part {when}", "requests", requests.total(), None, BAR, requests.total() <= BAR)


def count_requests(folder: Path, endpoint: str) -> dict[tuple[str, str], Counter[str]]:
    """Requests of the second part, by stage, and by whether it had to be made."""
    from coemogen_core.lab.corpora import write_photos
    from coemogen_core.storage.workspace import Workspace

    photos = write_photos(folder / "photos", 96, 1)
    found: dict[tuple[str, str], Counter[str]] = {}
    with counted_requests() as counted:
        workspace = Workspace(f"memory://{folder.name}")
        for stage, work, parts in stages(workspace, str(photos), endpoint):
            work(parts[0])
            for when in ("that is made", "that stands"):
                counted.clear()
                work(parts[1])
                found[stage, when] = Counter(counted)
    return found


def stages(workspace, root: str, endpoint: str):  # type: ignore[no-untyped-def]
    """Name, work on a part, and parts, stage by stage; each is asked for when those before it are done with two parts."""
    from coemogen_core.captioning.alignment import align_captions
    from coemogen_core.captioning.caption_part import caption_part
    from coemogen_core.captioning.current_captions import CaptionPolicy
    from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
    from coemogen_core.classifier.classifier_store import score_part
    from coemogen_core.classifier.emotion_probe import ProbeRecipe
    from coemogen_core.classifier.probe_training import train_classifier
    from coemogen_core.curation.decide import decide
    from coemogen_core.curation.decisions import CurationRecipe, read_record
    from coemogen_core.curation.selection import Selection
    from coemogen_core.data.ingest import ingest_part
    from coemogen_core.data.picture_index import update_index
    from coemogen_core.data.plan import plan_source
    from coemogen_core.encoders.clip_encoder import EncoderRecipe
    from coemogen_core.encoders.embedding import embed_part
    from coemogen_core.model.base_models import BaseModels
    from coemogen_core.publication.publication import publish_part
    from coemogen_core.training.features import FeatureRecipe, cache_features_part

    parts = plan_source(workspace, SOURCE, "emoset", root, part_size=48)[:2]
    update_index(workspace)
    yield "ingest", lambda part: ingest_part(workspace, SOURCE, part), parts
    update_index(workspace)
    encoder = EncoderRecipe(model="lab:clip")
    yield "embed", lambda part: embed_part(workspace, SOURCE, part, encoder), parts
    classifier = train_classifier(
        workspace, SOURCE, parts, encoder.encoder_id, ProbeRecipe(max_iterations=5, require_all_emotions=False)
    ).card.classifier_id
    yield "score", lambda part: score_part(workspace, SOURCE, part, encoder.encoder_id, classifier), parts
    recipe, settings = CaptionRecipe(model="stub-captioner"), ServerSettings(endpoints=(endpoint,))
    selection = Selection()

    def caption(part: str) -> object:
        return caption_part(workspace, SOURCE, part, selection.wanted(workspace, SOURCE, part), recipe, settings)

    yield "caption", caption, parts
    policy = CaptionPolicy.pinned(recipe.recipe_id("server"))
    yield "align", lambda part: align_captions(workspace, SOURCE, part, policy, encoder), parts
    curation = CurationRecipe(dataset="photos", selection=selection, captions=policy, encoder_id=encoder.encoder_id)
    record = read_record(workspace, "photos", decide(workspace, SOURCE, parts, curation).version)
    features = FeatureRecipe(models=BaseModels(diffusion="lab:diffusion", clip="lab:clip"), resolution=64)
    yield "features", lambda part: cache_features_part(workspace, "photos", record.version, SOURCE, part, features), parts
    yield "publish", lambda part: publish_part(workspace, record, part), parts


if __name__ == "__main__":
    main()
