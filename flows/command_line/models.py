"""Commands that train a model, draw with it and take it elsewhere."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from flows.command_line.front import app, say_if_nothing_was_done
from flows.command_line.options import (
    ALL,
    EMOTION,
    ProfileName,
    Settings,
    Whole,
    WorkspaceUri,
    flow_params,
    given_only,
    parse_query,
    say_left_out,
)
from schemas.choices import Device, SchedulerName

Corpora = Annotated[
    list[str], Parameter(name="--dataset", help="Corpus to train on; given again, another one to train on together with it.")
]

ModelOf = Annotated[
    str | None, Parameter(help="Corpus that the model was trained on, joined ones as emoset+emoart; not needed where there is one model.")
]


@app.command
def train(
    *,
    workspace: WorkspaceUri,
    dataset: Corpora = ["emoset"],  # noqa: B006
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """Train alone, with train-and-eval's parameters; several GPUs by `accelerate launch --no_python coemogen train`."""
    from flows.command_line.train_alone import train_alone
    from flows.train_params import TrainAndEvalParams

    train_alone(flow_params(profile, TrainAndEvalParams, {"workspace": workspace, **_corpora(dataset)}, settings))


@app.command
def train_and_eval(
    *,
    workspace: WorkspaceUri,
    dataset: Corpora = ["emoset"],  # noqa: B006
    emoart: Annotated[str | None, Parameter(help="Curated art to show in the report.")] = None,
    matrix: Annotated[Path | None, Parameter(help="TOML file of methods and seeds to compare; without it CoEmoGen and plain SD.")] = None,
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """A curated corpus to trained models, pictures, metrics and a report."""
    from coemogen_core.experiments.matrix import read_matrix
    from coemogen_core.storage.workspace import Workspace
    from flows import train_and_eval as flow
    from flows.command_line.metrics_table import metrics_table
    from flows.progress import console
    from flows.train_params import TrainAndEvalParams
    from schemas.metrics import Metrics

    given: dict[str, Any] = {"workspace": workspace, "emoart_dataset": emoart, **_corpora(dataset)}
    if matrix is not None:
        given["matrix"] = read_matrix(matrix).model_dump()
    outcome = flow.train_and_eval(flow_params(profile, TrainAndEvalParams, given, settings))
    say_if_nothing_was_done(outcome)
    metrics = Metrics.model_validate_json(Workspace(workspace).read_file("runs", outcome.run_id, "metrics.json"))
    against = "" if metrics.reference is None else f", against {metrics.reference.source}"
    console.print(metrics_table(metrics, " and ".join(dataset) + against))
    if outcome.experiments is not None:
        print(outcome.experiments)
    print(outcome.report)


def _corpora(names: list[str]) -> dict[str, Any]:
    return {"dataset": names[0], "joined_with": names[1:]}


@app.command
def generate(
    emotion: Annotated[str | None, EMOTION] = None,
    *,
    out: Annotated[str, Parameter(help="Folder or URI to write <emotion>/<emotion>-00000.png to.")],
    count: Annotated[Whole, Parameter(help="Pictures of each emotion.")] = 8,
    seed: Annotated[Whole, Parameter(help="Of the first picture; picture k has seed + k.")] = 0,
    workspace: Annotated[str, Parameter(help="Workspace of the trained model.")] = "demo/workspace",
    dataset: ModelOf = None,
    run: Annotated[str | None, Parameter(help="Run of the trained model, train-...; not needed where there is only one.")] = None,
    model: Annotated[Path | None, Parameter(help="A saved pipeline in place of a run: the folder of save_pretrained.")] = None,
    again: Annotated[Path | None, Parameter(name="--from", help="Make this generated PNG again, from what it says of itself.")] = None,
    content: Annotated[str | None, Parameter(help="What the pictures show, for emotion transfer: 'a bag on a table'.")] = None,
    intensity: Annotated[
        float | None, Parameter(help="Factor on the emotion: 0 = the base model without HiLoRA, above 1 = stronger.")
    ] = None,
    steps: Annotated[Whole | None, Parameter(help="Denoising steps.")] = None,
    guidance: Annotated[float | None, Parameter(help="Classifier-free guidance; at most 1 switches it off.")] = None,
    scheduler: Annotated[SchedulerName | None, Parameter(help="Sampler; base is the one saved with the diffusion model.")] = None,
    negative_prompt: Annotated[str | None, Parameter(help="Negative prompt.")] = None,
    height: Annotated[Whole | None, Parameter(help="Pixels.")] = None,
    width: Annotated[Whole | None, Parameter(help="Pixels.")] = None,
    batch_size: Annotated[Whole | None, Parameter(help="Pictures at a time.")] = None,
    device: Annotated[Device | None, Parameter(help="Where the model computes.")] = None,
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """Pictures of a trained model, each with its recipe inside; the same command goes on where it was stopped."""
    if (emotion is None) == (again is None):
        raise ValueError("give an emotion, or --from with a generated picture")
    from flows.command_line.generate import draw, draw_again, open_pipeline
    from flows.train_params import TrainAndEvalParams

    generation = given_only(
        content=content,
        intensity=intensity,
        num_inference_steps=steps,
        guidance_scale=guidance,
        scheduler=scheduler,
        negative_prompt=negative_prompt,
        height=height,
        width=width,
        batch_size=batch_size,
        device=device,
    )
    params = flow_params(profile, TrainAndEvalParams, {"workspace": workspace, "generation": generation}, settings)
    opened = partial(open_pipeline, params, run, dataset, model)
    if again is not None:
        draw_again(opened, again, out, params.generation.device)
    elif emotion is not None:
        draw(opened, emotion, out, count, seed, params.generation)


@app.command
def export_lora(
    *,
    workspace: WorkspaceUri,
    emotion: Annotated[str, EMOTION],
    destination: Annotated[str, Parameter(help="Folder or URI to write one folder per export to.")],
    dataset: ModelOf = None,
    run: Annotated[str | None, Parameter(help="Run of the trained model, train-...; not needed where there is only one.")] = None,
    intensity: Annotated[float, Parameter(help="Factor on the emotion; above 1 = stronger.")] = 1.0,
    name: Annotated[str | None, Parameter(help="Name of the export; by default made of the emotions, e.g. coemogen-awe.")] = None,
    licence: Annotated[str | None, Parameter(help="Licence of the export, written into its files.")] = None,
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """An emotion of a trained model as a LoRA and an embedding for diffusers, ComfyUI and A1111."""
    if emotion == ALL and name is not None:
        raise ValueError("--name is for one export: leave it out with --emotion all")
    from coemogen_core.emotions import EMOTIONS
    from coemogen_core.generation.lora_export import ExportRecipe, LoraExporter
    from coemogen_core.storage.workspace import Workspace
    from flows.command_line.trained_models import choose_run
    from flows.train_params import TrainAndEvalParams

    models = flow_params(profile, TrainAndEvalParams, {"workspace": workspace}, settings).models
    query = {EMOTIONS[0]: 1.0} if emotion == ALL else parse_query(emotion)
    # before a model is opened: what is wrong with it is refused at once
    recipe = ExportRecipe(weights=query, intensity=intensity, name=name, licence=licence)
    exporter = LoraExporter(Workspace(workspace).path("runs", choose_run(workspace, run, dataset), "model"), models)
    recipes = [recipe.model_copy(update={"weights": {each: 1.0}}) for each in exporter.emotions] if emotion == ALL else [recipe]
    for each in recipes:
        written = exporter.export(each, destination)
        print(f"{written.folder}: LoRA of rank {written.rank}, embedding <{written.name}>")
    if emotion == ALL:
        say_left_out(exporter.emotions)
