"""Commands that measure pictures, and that prepare a comparison."""

import tomllib
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from flows.command_line.front import app, console
from flows.command_line.options import Settings, Whole, nested
from schemas.choices import EvaluationProtocol

if TYPE_CHECKING:
    from coemogen_core.evaluation.alone import AloneEvaluation

LISTED = 5


@app.command
def evaluate(
    images: Annotated[str, Parameter(help="Folder or URI of any system's pictures: <emotion>/*.png.")],
    *,
    reference: Annotated[str, Parameter(help="Real pictures: the same layout, an EmoSet root, or WORKSPACE/images/SOURCE.")],
    protocol: Annotated[
        EvaluationProtocol, Parameter(help="emogen repeats the errors of EmoGen's public code, to compare with published numbers.")
    ] = "corrected",
    extractors: Annotated[str, Parameter(help="lab, or a TOML file with the paths of the paper's networks.")] = "lab",
    probe: Annotated[
        list[str],
        Parameter(help="Emo-A by EmoGen's clip_emotion_classifier.pth on --clip, or by WORKSPACE/classifiers/ID; repeatable.", negative=""),
    ] = [],  # noqa: B006
    clip: Annotated[str | None, Parameter(help="CLIP of Sem-D, CMMD and the probe: folder or hub id.")] = None,
    seed: Annotated[Whole, Parameter(help="Seed of pairs and resamples.")] = 0,
    json_file: Annotated[Path | None, Parameter(name="--json", help="File to write all numbers to, as metrics.json.")] = None,
    report: Annotated[Path | None, Parameter(help="HTML file to write the report to.")] = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Measure any system's pictures: FID, CMMD, precision, recall, density, coverage, LPIPS, Emo-A, Sem-C and Sem-D with intervals."""
    from coemogen_core.evaluation.alone import METHOD, evaluate_alone
    from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
    from coemogen_core.report.build import alone_report_data
    from coemogen_core.report.render import render_report
    from coemogen_core.storage.whole_file import write_atomically
    from flows.command_line.metrics_table import emotion_tables, metrics_table, probe_tables

    probes = tuple(probe) if len(probe) > 1 else probe[0] if probe else None
    given = {"protocol": protocol, "probe": probes, "clip_model": clip, "seed": seed}
    recipe = EvaluationRecipe.model_validate(given | _networks(extractors) | nested(settings))
    evaluation = evaluate_alone(images, reference, recipe, load_extractors(recipe))
    metrics = evaluation.metrics
    console.print(metrics_table(metrics, f"Protocol {recipe.protocol}"))
    for table in (*probe_tables(metrics), *emotion_tables(metrics.methods[METHOD])):
        console.print(table)
    _say_what_is_missing(evaluation)
    if json_file is not None:
        write_atomically(str(json_file), (metrics.model_dump_json(indent=2) + "\n").encode())
    if report is not None:
        write_atomically(str(report), render_report(alone_report_data(evaluation, f"Evaluation of {Path(images).name}")).encode())


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


def _say_what_is_missing(evaluation: "AloneEvaluation") -> None:
    if evaluation.absent:
        console.print(f"no images of {', '.join(evaluation.absent)}: they are left out of every mean")
    reasons = Counter(entry.reason for entry in evaluation.left_out)
    for reason, count in reasons.most_common():
        names = [entry.path for entry in evaluation.left_out if entry.reason == reason][:LISTED]
        more = ", ..." if count > LISTED else ""
        console.print(escape(f"left out, {reason}: {count} ({', '.join(names)}{more})"), soft_wrap=True)


@app.command
def write_prompts(
    file: Annotated[Path, Parameter(help="TOML file to write; if it is there, nothing is asked.")],
    *,
    model: Annotated[str, Parameter(help="Name under which the server has the model.")],
    endpoint: Annotated[str, Parameter(help="Base URL of an OpenAI-compatible chat server, the captioner's for example.")],
    count: Annotated[Whole, Parameter(help="Prompts of every emotion.")] = 10,
    settings: Settings = [],  # noqa: B006
) -> None:
    """A language model's prompts for the baseline sd-llm, as a file."""
    from coemogen_core.methods import prompt_writing
    from coemogen_core.recipe import merge

    given = merge({"model": model, "endpoint": endpoint, "count": count}, nested(settings))
    there = file.exists()
    prompts = prompt_writing.write_prompts(prompt_writing.PromptWriter.model_validate(given), file)
    number = sum(len(found) for found in prompts.prompts.values())
    console.print(
        f"{number} prompts by {prompts.model} {'were there already' if there else 'written'}: {file}", soft_wrap=True, markup=False
    )
