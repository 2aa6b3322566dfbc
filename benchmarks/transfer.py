"""Emotion transfer on the lab's world: five neutral contents, each in eight emotions; does the content stay, and does the emotion come?

    .venv/bin/python benchmarks/transfer.py --workspace demo/workspace --json transfer.json

Judged by the lab's judges, which share nothing with CLIP or the generator. The contents are the first five by name of the eight things
that belong to no emotion, worded as the lab's neutral captions word them, in the first of their places; the way of transfer was chosen
on the other three and on other seeds. Beside it: the base model with the content alone, and with "... that evokes <emotion>", same noise;
and the lab's own drawings of these contents among the emotion's surroundings, which is what the judges say of a transfer without fault.
"""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from prompt_alignment import PromptAlignment, prompt_alignment
from results_table import Row, report, row

from coemogen_core.data.thumbnail import draw_sheet
from coemogen_core.emotions import EMOTIONS
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.generation.denoising import batches, denoising_arguments, image_seeds, load_base_pipeline, use_scheduler
from coemogen_core.generation.pipeline import EmotionPipeline
from coemogen_core.lab.judges import load_content_judge, load_emotion_judge
from coemogen_core.lab.scenes.captions import caption_of
from coemogen_core.lab.scenes.scene import Scene, render
from coemogen_core.lab.scenes.world import CONTENTS
from coemogen_core.model.base_models import BaseModels
from coemogen_core.model.generation_recipe import GenerationRecipe
from coemogen_core.storage.workspace import Workspace
from flows.command_line.trained_models import choose_run

MODELS = BaseModels(diffusion="lab:diffusion", clip="lab:clip")
RECIPE = GenerationRecipe(num_inference_steps=16, guidance_scale=3.0, batch_size=16, device="cpu")
NEUTRAL_ONLY = sorted(content.noun for content in CONTENTS.values() if not content.feelings)
REPORTED, TUNED_ON = tuple(NEUTRAL_ONLY[:5]), tuple(NEUTRAL_ONLY[5:])
CONTENT_BAR, EMOTION_BAR = 0.6, 0.5
Draw = Callable[[str, str, list[int]], list[Image.Image]]  # thing, emotion, seeds


@dataclass
class Verdicts:
    """What the judges say of a way, by content, emotion and picture: [contents, 8, pictures] each; and its prompt alignment."""

    content: np.ndarray
    emotion: np.ndarray
    alignment: PromptAlignment
    pictures: dict[str, dict[str, list[Image.Image]]] = field(repr=False)


def main() -> None:
    """Draw, judge, print a table, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workspace", default="demo/workspace", help="workspace of a finished demo")
    parser.add_argument("--run", help="run of the trained model; not needed where there is only one of photos")
    parser.add_argument("--images", type=int, default=8, help="per content and emotion")
    parser.add_argument("--tuning", action="store_true", help="the three contents and the seeds that the way was chosen on")
    parser.add_argument("--sheet", type=Path, help="write a picture of the first picture of each pair to this file")
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    folder = Workspace(chosen.workspace).path("runs", choose_run(chosen.workspace, chosen.run, "emoset"), "model")
    contents, seeds = (TUNED_ON, image_seeds(5000, chosen.images)) if chosen.tuning else (REPORTED, image_seeds(0, chosen.images))
    ways = {"transfer": in_this_package(folder), "words": by_words(), "content": by_content(), "drawn": by_the_lab()}
    verdicts = {}
    for name, draw in ways.items():
        verdicts[name] = judged(draw, contents, seeds)
        print(f"{name}: content {verdicts[name].content.mean():.3f}, emotion {verdicts[name].emotion.mean():.3f}", flush=True)
    _print_pairs(verdicts["transfer"], contents)
    if chosen.sheet:
        _write_sheet(chosen.sheet, contents, verdicts)
    report(_rows(verdicts), chosen.json)


def in_this_package(folder: str) -> Draw:
    """The trained model."""
    pipe = EmotionPipeline.from_run(MODELS, folder, "cpu")
    return lambda thing, emotion, seeds: pipe.generate(emotion, seeds, RECIPE.model_copy(update={"content": words_of(thing)}))


def by_words() -> Draw:
    """The base model, prompted with content and emotion."""
    return prompted(lambda thing, emotion: f"{words_of(thing)} that evokes {emotion}")


def by_content() -> Draw:
    """The base model, prompted with the content alone; drawn once for all emotions."""
    draw, drawn = prompted(lambda thing, _: words_of(thing)), {}

    def remembered(thing: str, emotion: str, seeds: list[int]) -> list[Image.Image]:
        if thing not in drawn:
            drawn[thing] = draw(thing, emotion, seeds)
        return drawn[thing]

    return remembered


def prompted(prompt: Callable[[str, str], str]) -> Draw:
    """Stable Diffusion as it is."""
    base = load_base_pipeline(MODELS, "cpu")
    scheduler = base.scheduler

    @torch.inference_mode()
    def draw(thing: str, emotion: str, seeds: list[int]) -> list[Image.Image]:
        pictures: list[Image.Image] = []
        for chunk in batches(seeds, RECIPE.batch_size):
            use_scheduler(base, scheduler, RECIPE)
            pictures += base(prompt=[prompt(thing, emotion)] * len(chunk), **denoising_arguments(base, RECIPE, chunk)).images
        return pictures

    return draw


def by_the_lab() -> Draw:
    """The lab's own drawings: the neutral thing, the emotion's light and what hangs in the air."""
    return lambda thing, emotion, seeds: [
        render(Scene(thing, CONTENTS[thing].places[0], emotion, "emotional", 1, has_effect=True, seed=seed))  # type: ignore[arg-type]
        for seed in seeds
    ]


def words_of(thing: str) -> str:
    """The lab's neutral caption of a thing, in the first of its places."""
    return caption_of(Scene(thing, CONTENTS[thing].places[0], None, "neutral", 1, has_effect=False, seed=0))


@torch.inference_mode()
def judged(draw: Draw, contents: Sequence[str], seeds: list[int]) -> Verdicts:
    """Draw every pair and let the judges look."""
    emotion_judge, content_judge = load_emotion_judge(), load_content_judge()
    encoder = load_encoder(EncoderRecipe(model=MODELS.clip, device="cpu"))
    shape = (len(contents), len(EMOTIONS), len(seeds))
    content, emotion = np.zeros(shape), np.zeros(shape)
    images, texts = [], []
    pictures: dict[str, dict[str, list[Image.Image]]] = {}
    for i, thing in enumerate(contents):
        pictures[thing] = {str(each): draw(thing, each, seeds) for each in EMOTIONS}
        for j, each in enumerate(EMOTIONS):
            pixels = torch.from_numpy(np.stack([np.asarray(picture) for picture in pictures[thing][each]])).permute(0, 3, 1, 2) / 255
            emotion[i, j] = emotion_judge(pixels).argmax(1) == j
            content[i, j] = content_judge(pixels)[0].argmax(1) == content_judge.objects.index(thing)
            images.append(encoder.encode_images(pictures[thing][each]))
            texts.append(encoder.encode_texts([words_of(thing)]).repeat(len(seeds), axis=0))
    labels = np.tile(np.arange(len(EMOTIONS)).repeat(len(seeds)), len(contents))
    alignment = prompt_alignment(np.concatenate(images), np.concatenate(texts), labels, encoder.encoder_id)
    return Verdicts(content, emotion, alignment, pictures)


def _rows(verdicts: dict[str, Verdicts]) -> list[Row]:
    ours, words, content, drawn = (verdicts[name] for name in ("transfer", "words", "content", "drawn"))
    found, felt = _share(ours.content), _share(ours.emotion)
    pairs = (ours.content.mean(2) >= CONTENT_BAR) & (ours.emotion.mean(2) >= EMOTION_BAR)
    rows = [
        row("content found; base model with the content alone", "share", found, _share(content.content), CONTENT_BAR, found >= CONTENT_BAR),
        row("emotion found; base model, 'that evokes'", "share", felt, _share(words.emotion), EMOTION_BAR, felt >= EMOTION_BAR),
        row("both found; base model, 'that evokes'", "share", _both(ours), _both(words), None, None),
        row("content found; base model, 'that evokes'", "share", found, _share(words.content), None, None),
        row("content found; the lab's own drawing", "share", found, _share(drawn.content), None, None),
        row("emotion found; the lab's own drawing", "share", felt, _share(drawn.emotion), None, None),
        row("both found; the lab's own drawing", "share", _both(ours), _both(drawn), None, None),
        row("pairs of content and emotion that reach both bars", "of 40" if pairs.size == 40 else "", int(pairs.sum()), None, None, None),
    ]
    others = {"base model with the content alone": content, "base model, 'that evokes'": words, "the lab's own drawing": drawn}
    mine = ours.alignment.overall.value or 0.0
    rows += [row(f"prompt alignment; {name}", "cosine", mine, each.alignment.overall.value, None, None) for name, each in others.items()]
    return rows


def _share(verdicts: np.ndarray) -> float:
    return float(verdicts.mean())


def _both(verdicts: Verdicts) -> float:
    return _share(verdicts.content * verdicts.emotion)


def _print_pairs(ours: Verdicts, contents: Sequence[str]) -> None:
    print(f"\n| content found / emotion found | {' | '.join(EMOTIONS)} | all |\n|---|{'---:|' * (len(EMOTIONS) + 1)}")
    for i, thing in enumerate(contents):
        cells = [f"{c:.2f} / {e:.2f}" for c, e in zip(ours.content[i].mean(1), ours.emotion[i].mean(1), strict=True)]
        print(f"| {words_of(thing)} | {' | '.join(cells)} | {ours.content[i].mean():.2f} / {ours.emotion[i].mean():.2f} |")
    cells = [f"{c:.2f} / {e:.2f}" for c, e in zip(ours.content.mean((0, 2)), ours.emotion.mean((0, 2)), strict=True)]
    print(f"| all | {' | '.join(cells)} | {ours.content.mean():.2f} / {ours.emotion.mean():.2f} |")
    for emotion, each in {"all": ours.alignment.overall, **ours.alignment.by_emotion}.items():
        print(
            f"prompt alignment, {emotion}: {each.value:.3f} ({each.low} to {each.high})"
            if each.low is None
            else f"prompt alignment, {emotion}: {each.value:.3f} ({each.low:.3f} to {each.high:.3f})"
        )


def _write_sheet(file: Path, contents: Sequence[str], verdicts: dict[str, Verdicts]) -> None:
    """A row per content: first what the base model draws of it, then the eight emotions, all of the first seed."""
    rows = {}
    for thing in contents:
        neutral = verdicts["content"].pictures[thing][EMOTIONS[0]][0]
        rows[thing] = [neutral, *(verdicts["transfer"].pictures[thing][emotion][0] for emotion in EMOTIONS)]
    title = "the content alone, then " + ", ".join(EMOTIONS)
    file.write_bytes(draw_sheet({title: rows}, contents, len(EMOTIONS) + 1, 96))


if __name__ == "__main__":
    main()
