"""Evaluate any system's images against real ones. Wraps `coemogen_core.evaluation.alone`; one pass, so no flow."""

import tomllib
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.markup import escape

from coemogen_core.evaluation.alone import METHOD, AloneEvaluation, evaluate_alone
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.report.build import alone_report_data
from coemogen_core.report.render import render_report
from coemogen_core.storage.whole_file import write_atomically
from flows.metrics_table import emotion_tables, metrics_table, probe_tables

LISTED = 5
console = Console(highlight=False)


def evaluate(
    images: str,
    *,
    reference: str,
    protocol: str = "corrected",
    extractors: str = "lab",
    probe: Sequence[str] = (),
    clip: str | None = None,
    seed: int = 0,
    json_file: Path | None = None,
    report: Path | None = None,
    settings: dict[str, Any] | None = None,
) -> AloneEvaluation:
    """Measure a folder of pictures against real ones, and print the table.

    Args:
        images: folder or URI, `<emotion>/*.png`.
        reference: the same, an EmoSet root, or `<workspace>/images/<source>`.
        protocol: corrected or emogen.
        extractors: lab, or a TOML file with the paths of the paper's networks.
        probe: further probes of Emo-A, the first of which gives it: EmoGen's published head on `clip`, or WORKSPACE/classifiers/ID.
        clip: folder or hub id of the CLIP of Sem-D, CMMD and the probe; none = the lab's.
        seed: of pairs and resamples.
        json_file: takes metrics.json.
        report: takes the report, an HTML file.
        settings: further fields of the evaluation recipe.

    Raises:
        FileNotFoundError: a folder or file does not exist.
        ValueError: a set has no labelled or no readable picture; a file of weights holds something else; the probe reads another CLIP.
        pydantic.ValidationError: a setting is refused.
    """
    given = {"protocol": protocol, "probe": _probes(probe), "clip_model": clip, "seed": seed, **_networks(extractors), **(settings or {})}
    recipe = EvaluationRecipe.model_validate(given)
    evaluation = evaluate_alone(images, reference, recipe, load_extractors(recipe))
    metrics = evaluation.metrics
    console.print(metrics_table(metrics, f"Protocol {recipe.protocol}"))
    for table in (*probe_tables(metrics), *emotion_tables(metrics.methods[METHOD])):
        console.print(table)
    _say_what_is_missing(evaluation)
    if json_file is not None:
        write_atomically(str(json_file), (evaluation.metrics.model_dump_json(indent=2) + "\n").encode())
    if report is not None:
        write_atomically(str(report), render_report(alone_report_data(evaluation, f"Evaluation of {Path(images).name}")).encode())
    return evaluation


def _probes(names: Sequence[str]) -> str | tuple[str, ...] | None:
    """One probe is written down by itself, so that recipes of before there could be several stay what they are."""
    return tuple(names) if len(names) > 1 else names[0] if names else None


def _networks(extractors: str) -> dict[str, Any]:
    if extractors == "lab":
        return {}
    file = Path(extractors)
    if not file.is_file():
        raise FileNotFoundError(f"--extractors {extractors} is no file: give lab, or a TOML file with the paths of the paper's networks")
    try:
        return {"extractors": "paper", "paper": tomllib.loads(file.read_text(encoding="utf-8"))}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{extractors} is no TOML ({error}): see docs/metrics.md for an example") from error


def _say_what_is_missing(evaluation: AloneEvaluation) -> None:
    if evaluation.absent:
        console.print(f"no images of {', '.join(evaluation.absent)}: they are left out of every mean")
    reasons = Counter(entry.reason for entry in evaluation.left_out)
    for reason, count in reasons.most_common():
        names = [entry.path for entry in evaluation.left_out if entry.reason == reason][:LISTED]
        more = ", ..." if count > LISTED else ""
        console.print(escape(f"left out, {reason}: {count} ({', '.join(names)}{more})"), soft_wrap=True)
