"""Commands that measure pictures, and that prepare a comparison."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from flows.command_line.front import app
from flows.command_line.options import Settings, nested
from flows.environment import prepare_environment


@app.command(name="evaluate")
def evaluate_command_line(
    images: Annotated[str, Parameter(help="Folder or URI of any system's pictures: <emotion>/*.png.")],
    *,
    reference: Annotated[str, Parameter(help="Real pictures: the same layout, an EmoSet root, or WORKSPACE/images/SOURCE.")],
    protocol: Annotated[str, Parameter(help="corrected, or emogen: the public code's faults, beside published numbers.")] = "corrected",
    extractors: Annotated[str, Parameter(help="lab, or a TOML file with the paths of the paper's networks.")] = "lab",
    probe: Annotated[
        list[str], Parameter(help="Emo-A by EmoGen's clip_emotion_classifier.pth on --clip, or by WORKSPACE/classifiers/ID; repeatable.")
    ] = [],  # noqa: B006
    clip: Annotated[str | None, Parameter(help="CLIP of Sem-D, CMMD and the probe: folder or hub id.")] = None,
    seed: Annotated[int, Parameter(help="Seed of pairs and resamples.")] = 0,
    json_file: Annotated[Path | None, Parameter(name="--json", help="Takes all numbers, as metrics.json.")] = None,
    report: Annotated[Path | None, Parameter(help="Takes a report: one HTML file.")] = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Measure any system's pictures: FID, CMMD, precision, recall, LPIPS, Emo-A, Sem-C and Sem-D with intervals."""
    prepare_environment()
    from flows.evaluate_command import evaluate

    evaluate(
        images,
        reference=reference,
        protocol=protocol,
        extractors=extractors,
        probe=probe,
        clip=clip,
        seed=seed,
        json_file=json_file,
        report=report,
        settings=nested(settings),
    )


@app.command(name="write-prompts")
def write_prompts_command(
    file: Annotated[Path, Parameter(help="TOML file to write; if it is there, nothing is asked.")],
    *,
    model: Annotated[str, Parameter(help="Name under which the server has the model.")],
    endpoint: Annotated[str, Parameter(help="Base URL of an OpenAI-compatible chat server, the captioner's for example.")],
    count: Annotated[int, Parameter(help="Prompts of every emotion.")] = 10,
    settings: Settings = [],  # noqa: B006
) -> None:
    """A language model's prompts for the baseline sd-llm, as a file."""
    prepare_environment()
    from coemogen_core.methods.prompt_writing import PromptWriter
    from flows.profiles import merge
    from flows.prompt_command import write_prompt_file_for

    values = merge({"model": model, "endpoint": endpoint, "count": count}, nested(settings))
    write_prompt_file_for(PromptWriter.model_validate(values), file)
