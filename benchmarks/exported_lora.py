"""What an exported emotion is worth in other tools: plain diffusers with its LoRA, its embedding, both, beside this package's pipeline.

    .venv/bin/python benchmarks/exported_lora.py --workspace demo/workspace --run train-0123456789ab

Emo-A by the lab's judge (share of pictures recognised as the emotion) and Sem-D (how much the pictures of one emotion differ), all from the
same starting noise. A model on the lab's base models.
"""

import argparse
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from diffusers import StableDiffusionPipeline
from PIL import Image
from results_table import Row, report, row

from coemogen_core.emotions import EMOTIONS
from coemogen_core.evaluation.emo_a import probe_metrics
from coemogen_core.evaluation.lab_extractors import lab_extractors
from coemogen_core.evaluation.semantics import mean_pair_difference
from coemogen_core.generation.denoising import denoising_arguments, image_seeds, load_base_pipeline, use_scheduler
from coemogen_core.generation.lora_export import DIFFUSERS_FILE, ExportRecipe, LoraExporter
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.model.generation_recipe import GenerationRecipe

MODELS = BaseModels(diffusion="lab:diffusion", clip="lab:clip")
RECIPE = GenerationRecipe(num_inference_steps=16, guidance_scale=3.0, batch_size=32, device="cpu")
Draw = Callable[[str, list[int]], list[Image.Image]]


def main() -> None:
    """Draw, judge, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", required=True)
    parser.add_argument("--run", required=True)
    parser.add_argument("--images", type=int, default=32, help="per emotion")
    parser.add_argument("--only", default="", help="ways whose name holds these words, e.g. LoRA")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    folder = f"{chosen.workspace}/runs/{chosen.run}/model"
    seeds = image_seeds(0, chosen.images)
    with tempfile.TemporaryDirectory(prefix="exports-") as exports:
        exporter = LoraExporter(folder, MODELS)
        for emotion in EMOTIONS:
            exporter.export(ExportRecipe(weights={emotion: 1.0}), exports)
        rows: list[Row] = []
        for name, draw in ways(folder, Path(exports)):
            if chosen.only not in name:
                continue
            rows += judged(name, draw, seeds)
            print(f"{name}: {rows[-2]['ours']:.3f}, {rows[-1]['ours']:.4f}", flush=True)
    report(rows, chosen.json)


def ways(folder: str, exports: Path) -> Iterator[tuple[str, Draw]]:
    """Every way to a picture, by name."""
    for lora in (False, True):
        for embedding in (False, True):
            name = f"diffusers, {'LoRA' if lora else 'base'}, {'embedding' if embedding else 'words'}"
            yield name, in_plain_diffusers(exports, lora=lora, embedding=embedding)
    pipe = EmotionPipeline.from_run(MODELS, folder, "cpu")
    yield "this package, v drawn for each picture", lambda emotion, seeds: pipe.generate(emotion, seeds, RECIPE)
    still = EmotionClusters(pipe.clusters.means, {emotion: torch.zeros_like(mean) for emotion, mean in pipe.clusters.means.items()})
    with replaced(pipe, still):
        yield "this package, v in the middle of the cluster", lambda emotion, seeds: pipe.generate(emotion, seeds, RECIPE)


def in_plain_diffusers(exports: Path, *, lora: bool, embedding: bool) -> Draw:
    """As an artist would: the pipeline that diffusers opens, with what was exported."""

    def draw(emotion: str, seeds: list[int]) -> list[Image.Image]:
        pipe = load_base_pipeline(MODELS, "cpu")
        export = exports / f"coemogen-{emotion}"
        if lora:
            pipe.load_lora_weights(str(export), weight_name=DIFFUSERS_FILE)
        if embedding:
            pipe.load_textual_inversion(str(export), weight_name=f"{export.name}.safetensors")
        return prompted(pipe, f"<{export.name}>" if embedding else f"an image of {emotion}", seeds)

    return draw


@torch.inference_mode()
def prompted(pipe: StableDiffusionPipeline, prompt: str, seeds: list[int]) -> list[Image.Image]:
    """Pictures of one prompt."""
    use_scheduler(pipe, pipe.scheduler, RECIPE)
    pictures: list[Image.Image] = pipe(prompt=[prompt] * len(seeds), **denoising_arguments(pipe, RECIPE, seeds)).images
    return pictures


def judged(name: str, draw: Draw, seeds: list[int]) -> list[Row]:
    """Emo-A over all pictures and Sem-D averaged over the emotions."""
    extractors = lab_extractors()
    probabilities, differences = [], []
    for emotion in EMOTIONS:
        batch = [np.asarray(picture) for picture in draw(emotion, seeds)]
        probabilities.append(extractors.emotion_probes[0].probabilities(batch))
        differences.append(mean_pair_difference(extractors.clip.embeddings(batch)))
    metrics = probe_metrics(np.concatenate(probabilities), np.arange(len(EMOTIONS)).repeat(len(seeds)))
    diversity = float(np.mean([difference for difference in differences if difference is not None]))
    return [
        row(f"{name}: Emo-A", "share", metrics.accuracy or 0.0, None, None, None),
        row(f"{name}: Sem-D", "", diversity, None, None, None),
    ]


@contextmanager
def replaced(pipe: EmotionPipeline, clusters: EmotionClusters) -> Iterator[None]:
    """The pipeline with other clusters."""
    kept, pipe.clusters = pipe.clusters, clusters
    try:
        yield
    finally:
        pipe.clusters = kept


if __name__ == "__main__":
    main()
