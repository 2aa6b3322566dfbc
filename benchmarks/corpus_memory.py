"""Memory of the whole way from files to a published dataset: the same for ten times the pictures?

    .venv/bin/python benchmarks/corpus_memory.py --json corpus_memory.json

Small generated pictures in folders by emotion: plan, ingest, embed, classify, score, caption (stub server), align, decide, publish; each
size in a process of its own. The pictures are made beforehand.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from captioning import stub_server
from child_process import in_child
from PIL import Image
from results_table import Row, report, row

SOURCE = "pictures"


def main() -> None:
    """Measure both sizes, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000, help="the larger number of pictures; the smaller is a tenth of it")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.child:
        print(json.dumps(measure(json.loads(chosen.child))))
        return
    found = {}
    with tempfile.TemporaryDirectory(prefix="corpus-") as folder, stub_server() as endpoint:
        for count in (chosen.images // 10, chosen.images):
            draw(Path(folder) / f"pictures-{count}", count)
            job = {"root": f"{folder}/pictures-{count}", "workspace": f"{folder}/workspace-{count}", "endpoint": endpoint}
            found[count] = in_child(__file__, job)
            print(f"{count:,} pictures: {found[count]}", flush=True)
    (few, less), (many, more) = found.items()
    rows = []
    for name, stage in (("ingest, scores and captions to the filter", "decide"), ("the same and the publication", "publish")):
        ours, reference = more["peaks_mib"][stage], less["peaks_mib"][stage]
        title = f"peak memory, {name}, {many:,} against {few:,} pictures"
        rows.append(row(title, "MiB", ours, reference, 1.1, ours <= 1.1 * reference))
    report(rows, chosen.json)


def draw(folder: Path, count: int) -> None:
    """Pictures of noise over a colour, a folder for each emotion."""
    from coemogen_core.emotions import EMOTIONS

    rng = np.random.default_rng(0)
    for emotion in EMOTIONS:
        (folder / emotion).mkdir(parents=True)
    for number in range(count):
        kind = number % len(EMOTIONS)
        colour = np.array([32 * kind, 255 - 32 * kind, 128])
        pixels = np.clip(colour + rng.normal(0, 40, (32, 32, 3)), 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / EMOTIONS[kind] / f"{number}.jpg", quality=80)


def measure(job: Row) -> Row:
    """Build and publish the corpus in this process; seconds, and the largest resident memory so far, by stage."""
    from coemogen_core.captioning.alignment import align_captions
    from coemogen_core.captioning.caption_part import caption_part
    from coemogen_core.captioning.current_captions import CaptionPolicy
    from coemogen_core.captioning.recipe import CaptionRecipe, ServerSettings
    from coemogen_core.classifier.classifier_store import score_part
    from coemogen_core.classifier.emotion_probe import ProbeRecipe
    from coemogen_core.classifier.probe_training import train_classifier
    from coemogen_core.curation.decide import decide
    from coemogen_core.curation.decisions import CurationRecipe
    from coemogen_core.curation.selection import Selection
    from coemogen_core.data.ingest import ingest_part
    from coemogen_core.data.plan import plan_source
    from coemogen_core.emotions import EMOTIONS
    from coemogen_core.encoders.clip_encoder import EncoderRecipe
    from coemogen_core.encoders.embedding import embed_part
    from coemogen_core.publication.publication import publish
    from coemogen_core.storage.workspace import Workspace

    workspace, started = Workspace(job["workspace"]), time.perf_counter()
    seconds: dict[str, float] = {}
    peaks: dict[str, float] = {}

    def done(stage: str) -> None:
        nonlocal started
        seconds[stage], started = round(time.perf_counter() - started, 1), time.perf_counter()
        peaks[stage] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

    encoder, caption = EncoderRecipe(model="lab:clip"), CaptionRecipe(model="stub-captioner")
    server = ServerSettings(endpoints=(job["endpoint"],), concurrency=256)
    policy = CaptionPolicy.pinned(caption.recipe_id("server"))
    parts = plan_source(workspace, SOURCE, "image_folder", job["root"])
    done("plan")
    for part in parts:
        ingest_part(workspace, SOURCE, part)
    done("ingest")
    for part in parts:
        embed_part(workspace, SOURCE, part, encoder)
    done("embed")
    # Every part holds pictures of one or two emotions; the classifier learns from a sample of parts that has all.
    trained = train_classifier(workspace, SOURCE, parts[:: max(1, len(parts) // 10)], encoder.encoder_id, ProbeRecipe())
    classifier = trained.card.classifier_id
    done("classifier")
    for part in parts:
        score_part(workspace, SOURCE, part, encoder.encoder_id, classifier)
    done("score")
    selection = Selection.by_confidence(classifier, EMOTIONS, min_confidence=0.3)
    for part in parts:
        caption_part(workspace, SOURCE, part, selection.wanted(workspace, SOURCE, part), caption, server)
    done("caption")
    for part in parts:
        align_captions(workspace, SOURCE, part, policy, encoder)
    done("align")
    recipe = CurationRecipe(dataset="corpus", selection=selection, captions=policy, encoder_id=encoder.encoder_id)
    decided = decide(workspace, SOURCE, parts, recipe)
    done("decide")
    published = publish(workspace, "corpus", decided.version, SOURCE)
    done("publish")
    return {"peak_mib": peaks["publish"], "published": published.manifest.rows, "seconds": seconds, "peaks_mib": peaks}


if __name__ == "__main__":
    main()
