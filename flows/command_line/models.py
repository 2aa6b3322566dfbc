"""Commands that train a model, draw with it and take it elsewhere."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from rich.markup import escape

from flows.command_line.front import app, errors, say
from flows.command_line.options import ProfileName, Settings, WorkspaceUri, nested
from flows.environment import prepare_environment


@app.command(name="train")
def train_command(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Corpus to train on.")] = "emoset",
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """Train alone, with train-and-eval's parameters; several GPUs by `accelerate launch --no_python coemogen train`."""
    prepare_environment()
    from coemogen_core.training.stopping import TrainingDivergedError
    from flows.params import TrainAndEvalParams
    from flows.profiles import load_params, merge
    from flows.train_command import train_alone

    overrides = merge({"workspace": workspace, "dataset": dataset}, nested(settings))
    try:
        train_alone(load_params(profile, "train-and-eval", TrainAndEvalParams, overrides))  # type: ignore[arg-type]
    except TrainingDivergedError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


@app.command(name="train-and-eval")
def train_and_eval_command(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Corpus to train on.")] = "emoset",
    emoart: Annotated[str | None, Parameter(help="Curated art to show in the report.")] = None,
    matrix: Annotated[Path | None, Parameter(help="TOML file of methods and seeds to compare; without it CoEmoGen and plain SD.")] = None,
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """A curated corpus to trained models, pictures, metrics and a report."""
    prepare_environment()
    from coemogen_core.experiments.matrix import read_matrix
    from flows.params import TrainAndEvalParams
    from flows.profiles import load_params, merge
    from flows.train_and_eval import train_and_eval

    given: dict[str, Any] = {"workspace": workspace, "dataset": dataset, "emoart_dataset": emoart}
    if matrix is not None:
        given["matrix"] = read_matrix(matrix).model_dump()
    overrides = merge(given, nested(settings))
    outcome = train_and_eval(load_params(profile, "train-and-eval", TrainAndEvalParams, overrides))  # type: ignore[arg-type]
    say(outcome)
    if outcome.experiments is not None:
        print(outcome.experiments)
    print(outcome.report)


@app.command(name="generate")
def generate_command_line(
    emotion: Annotated[str | None, Parameter(help="An emotion, a fusion such as awe=0.6,fear=0.4, or all.")] = None,
    *,
    out: Annotated[str, Parameter(help="Folder or URI that takes <emotion>/<emotion>-00000.png.")],
    count: Annotated[int, Parameter(help="Pictures of each emotion.")] = 8,
    seed: Annotated[int, Parameter(help="Of the first picture; picture k has seed + k.")] = 0,
    workspace: Annotated[str, Parameter(help="Workspace of the trained model.")] = "demo/workspace",
    run: Annotated[str | None, Parameter(help="Run of the trained model, train-...; not needed where there is only one.")] = None,
    model: Annotated[Path | None, Parameter(help="A saved pipeline in place of a run: the folder of save_pretrained.")] = None,
    again: Annotated[Path | None, Parameter(name="--from", help="Make this generated PNG again, from what it says of itself.")] = None,
    content: Annotated[str | None, Parameter(help="What the pictures show, for emotion transfer: 'a bag on a table'.")] = None,
    intensity: Annotated[float | None, Parameter(help="Above 1 exaggerates, 0 is the base model's way of drawing.")] = None,
    steps: Annotated[int | None, Parameter(help="Denoising steps.")] = None,
    guidance: Annotated[float | None, Parameter(help="Classifier-free guidance; at most 1 switches it off.")] = None,
    scheduler: Annotated[str | None, Parameter(help="base, ddim, dpmsolver++ or euler.")] = None,
    negative_prompt: Annotated[str | None, Parameter(help="What guidance leads away from.")] = None,
    height: Annotated[int | None, Parameter(help="Pixels.")] = None,
    width: Annotated[int | None, Parameter(help="Pixels.")] = None,
    batch_size: Annotated[int | None, Parameter(help="Pictures at a time.")] = None,
    device: Annotated[str | None, Parameter(help="auto, cpu or cuda.")] = None,
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """Pictures of a trained model, each with its recipe inside; the same command goes on where it was stopped."""
    prepare_environment()
    from flows.generate_command import ModelPlace, generate, generate_again
    from flows.params import TrainAndEvalParams
    from flows.profiles import load_params, merge

    given = {
        "content": content,
        "intensity": intensity,
        "num_inference_steps": steps,
        "guidance_scale": guidance,
        "scheduler": scheduler,
        "negative_prompt": negative_prompt,
        "height": height,
        "width": width,
        "batch_size": batch_size,
        "device": device,
    }
    generation = {name: value for name, value in given.items() if value is not None}
    overrides = merge({"workspace": workspace, "generation": generation}, nested(settings))
    params = load_params(profile, "train-and-eval", TrainAndEvalParams, overrides)  # type: ignore[arg-type]
    place = ModelPlace(model, workspace, run, params.models)
    if (emotion is None) == (again is None):
        raise ValueError("give an emotion, or --from with a generated picture")
    if again is not None:
        generate_again(place, again, out, params.generation.device)
    elif emotion is not None:
        generate(place, emotion, out, count, seed, params.generation)


@app.command(name="export-lora")
def export_lora_command_line(
    *,
    workspace: WorkspaceUri,
    run: Annotated[str, Parameter(help="Run of the trained model, train-...")],
    emotion: Annotated[str, Parameter(help="An emotion, a fusion such as awe=0.6,fear=0.4, or all.")],
    destination: Annotated[str, Parameter(help="Folder or URI that takes one folder per export.")],
    intensity: Annotated[float, Parameter(help="Above 1 exaggerates.")] = 1.0,
    name: Annotated[str | None, Parameter(help="Name of the export; by default made of the emotions, e.g. coemogen-awe.")] = None,
    licence: Annotated[str | None, Parameter(help="Licence of the export, written into its files.")] = None,
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """An emotion of a trained model as a LoRA and an embedding for diffusers, ComfyUI and A1111."""
    prepare_environment()
    from flows.model_commands import export_lora
    from flows.params import TrainAndEvalParams
    from flows.profiles import load_params, merge

    overrides = merge({"workspace": workspace}, nested(settings))
    models = load_params(profile, "train-and-eval", TrainAndEvalParams, overrides).models  # type: ignore[arg-type]
    export = {"emotion": emotion, "destination": destination, "intensity": intensity, "name": name, "licence": licence}
    export_lora(workspace=workspace, run_id=run, models=models, **export)  # type: ignore[arg-type]
