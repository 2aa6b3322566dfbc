"""The `coemogen` command: the flows without a Prefect server, and the demo. Every command is a thin front of one flow."""

import sys
from pathlib import Path
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape

from flows.environment import prepare_environment

app = App(name="coemogen", help="Emotional image generators, end to end: corpora, EmoArt, HiLoRA, generation, evaluation.")
errors = Console(stderr=True, highlight=False)

Root = Annotated[str, Parameter(help="Folder or URI of the pictures.")]
WorkspaceUri = Annotated[str, Parameter(help="Folder or URI that takes all tables.")]
ProfileName = Annotated[str, Parameter(help="Parameters to start from: lab, real (real photos on a laptop), or sd15 (the paper's models).")]
Settings = Annotated[
    list[str], Parameter(name="--set", help="Replace a parameter: key=value, nested keys with dots, e.g. training.steps=300.", negative="")
]


@app.command
def demo(
    *,
    folder: Annotated[Path, Parameter(help="Takes the drawn corpora, the workspace and the report.")] = Path("demo"),
    short: Annotated[bool, Parameter(help="A fraction of everything, to see that it runs.", negative="")] = False,
) -> None:
    """Run the whole chain on the lab's world and print where the report is."""
    folder.mkdir(parents=True, exist_ok=True)
    prepare_environment(prefect_home=folder / "prefect")
    from flows.demo import run_demo

    run_demo(folder, short=short)


@app.command(name="build-emoset")
def build_emoset_command(
    root: Root,
    *,
    workspace: WorkspaceUri,
    profile: ProfileName = "lab",
    layout: str = "emoset",
    name: str = "emoset",
    licence: str | None = None,
    settings: Settings = [],  # noqa: B006  cyclopts reads the default, nobody changes it
) -> None:
    """Labelled photos to a captioned, filtered training corpus."""
    prepare_environment()
    from flows.build_emoset import build_emoset
    from flows.params import BuildEmosetParams
    from flows.profiles import load_params, merge

    source = {"name": name, "layout": layout, "root": root, "licence": licence}
    overrides = merge({"workspace": workspace, "source": source}, nested(settings))
    _say(build_emoset(load_params(profile, "build-emoset", BuildEmosetParams, overrides)))  # type: ignore[arg-type]


@app.command(name="build-emoart")
def build_emoart_command(
    root: Root,
    *,
    workspace: WorkspaceUri,
    labelled: Annotated[str, Parameter(help="Name of the labelled set in the workspace.")] = "emoset",
    labelled_root: Annotated[str | None, Parameter(help="Folder or URI of the labelled set, if it is not ingested yet.")] = None,
    labelled_layout: Annotated[str, Parameter(help="How the labelled set's folders are arranged.")] = "emoset",
    valence_ratings: Annotated[str | None, Parameter(help="OASIS's valence ratings of the labelled set, a CSV.")] = None,
    art_ratings: Annotated[str | None, Parameter(help="WikiArt-Emotions' ratings of the paintings, a TSV.")] = None,
    profile: ProfileName = "lab",
    layout: str = "wikiart",
    name: str = "wikiart",
    licence: str | None = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Unlabelled paintings to a scored, captioned, filtered and published EmoArt."""
    prepare_environment()
    from flows.build_emoart import build_emoart
    from flows.params import BuildEmoartParams
    from flows.profiles import load_params, merge

    source = {"name": name, "layout": layout, "root": root, "licence": licence}
    given: dict[str, Any] = {"workspace": workspace, "source": source, "labelled_source": labelled}
    if labelled_root is not None:
        given["labelled_set"] = {"name": labelled, "layout": labelled_layout, "root": labelled_root}
    given |= {key: file for key, file in (("valence_ratings", valence_ratings), ("art_ratings", art_ratings)) if file is not None}
    overrides = merge(given, nested(settings))
    _say(build_emoart(load_params(profile, "build-emoart", BuildEmoartParams, overrides)))  # type: ignore[arg-type]


@app.command(name="recaption")
def recaption_command(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Dataset whose weak captions are asked for again.")] = "emoset",
    profile: ProfileName = "lab",
    settings: Settings = [],  # noqa: B006
) -> None:
    """Weak, failed or stale captions of a built dataset to better ones."""
    prepare_environment()
    from flows.params import RecaptionParams
    from flows.profiles import load_params, merge
    from flows.recaption import recaption

    overrides = merge({"workspace": workspace, "dataset": dataset}, nested(settings))
    outcome = recaption(load_params(profile, "recaption", RecaptionParams, overrides))  # type: ignore[arg-type]
    print(
        f"{outcome.chosen} chosen ({outcome.exhausted} left alone, {outcome.over_budget} beyond the budget), "
        f"{outcome.captioned} captioned, {outcome.became_current} became current in {outcome.version}"
    )


@app.command(name="audit")
def audit_command_line(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Dataset whose captions are judged.")] = "emoset",
    version: Annotated[str, Parameter(help="Version of its decisions; current = the last one that was built.")] = "current",
    per_emotion: Annotated[int, Parameter(help="Captions of each emotion.")] = 50,
    seed: Annotated[int, Parameter(help="Another seed draws others.")] = 0,
    kept_only: Annotated[bool, Parameter(help="Only captions of pictures that were kept.")] = True,
    destination: Annotated[str | None, Parameter(help="File or folder for a copy of the page.")] = None,
) -> None:
    """A page on which a person accepts or rejects a sample of captions."""
    prepare_environment()
    from flows.audit_command import audit

    audit(
        workspace=workspace,
        dataset=dataset,
        version=version,
        per_emotion=per_emotion,
        seed=seed,
        kept_only=kept_only,
        destination=destination,
    )


@app.command(name="import-audit")
def import_audit_command_line(
    file: Annotated[str, Parameter(help="What the page exported: verdicts-<audit id>.json.")],
    *,
    workspace: WorkspaceUri,
    source: Annotated[str | None, Parameter(help="Refuse verdicts on any other source.")] = None,
) -> None:
    """Record a person's verdicts; rejected captions are never current and are asked for again by recaption."""
    prepare_environment()
    from flows.audit_command import import_audit

    import_audit(file, workspace=workspace, source=source)


@app.command(name="refilter")
def refilter_command_line(
    *,
    workspace: WorkspaceUri,
    dataset: Annotated[str, Parameter(help="Dataset that was curated here.")] = "emoart",
    version: Annotated[str, Parameter(help="Version to start from; current = the last one that was built.")] = "current",
    min_confidence: Annotated[float | None, Parameter(help="A classifier's confidence must be greater than this.")] = None,
    drop_fraction: Annotated[float | None, Parameter(help="Share of lowest similarity to drop within each emotion.")] = None,
    near_duplicate_distance: Annotated[float | None, Parameter(help="Cosine distance up to which pictures count as one; 0 = off.")] = None,
    make_current: Annotated[bool, Parameter(help="Later stages take the new version.", negative="")] = False,
    publish: Annotated[bool, Parameter(help="Publish the new version.", negative="")] = False,
) -> None:
    """Other thresholds for a dataset that was built: a query, no model runs; the version that it starts from stays."""
    prepare_environment()
    from coemogen_core.curation.refilter import Thresholds
    from flows.curation_commands import refilter_dataset

    given = {"min_confidence": min_confidence, "drop_fraction": drop_fraction, "near_duplicate_distance": near_duplicate_distance}
    thresholds = Thresholds.model_validate(given)
    names = {"workspace": workspace, "dataset": dataset, "version": version}
    refilter_dataset(**names, thresholds=thresholds, make_current=make_current, publish_it=publish)


@app.command(name="export")
def export_command_line(
    destination: Annotated[str, Parameter(help="Folder or URI that takes the copy.")],
    *,
    workspace: WorkspaceUri,
    layout: Annotated[str, Parameter(help="webdataset or clip-retrieval.")] = "webdataset",
    dataset: Annotated[str, Parameter(help="Published dataset.")] = "emoart",
    version: Annotated[str, Parameter(help="Its version; current = the last one that was built.")] = "current",
    shard_size: Annotated[int, Parameter(help="Pictures in a tar file of WebDataset.")] = 1000,
) -> None:
    """A published dataset in the layout of WebDataset or of clip-retrieval."""
    prepare_environment()
    from flows.curation_commands import export_dataset

    export_dataset(destination, workspace=workspace, dataset=dataset, version=version, layout=layout, shard_size=shard_size)


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
    _say(outcome)
    if outcome.experiments is not None:
        print(outcome.experiments)
    print(outcome.report)


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
    from coemogen_core.baselines.prompt_writing import PromptWriter
    from flows.profiles import merge
    from flows.prompt_command import write_prompt_file_for

    values = merge({"model": model, "endpoint": endpoint, "count": count}, nested(settings))
    write_prompt_file_for(PromptWriter.model_validate(values), file)


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
    from coemogen_core.training.divergence import TrainingDivergedError
    from flows.params import TrainAndEvalParams
    from flows.profiles import load_params, merge
    from flows.train_command import train_alone

    overrides = merge({"workspace": workspace, "dataset": dataset}, nested(settings))
    try:
        train_alone(load_params(profile, "train-and-eval", TrainAndEvalParams, overrides))  # type: ignore[arg-type]
    except TrainingDivergedError as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)


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


@app.command(name="captioner")
def captioner_command(
    *,
    model: Annotated[str, Parameter(help="Folder of a saved model, a hub id, or lab:captioner.")],
    port: Annotated[int, Parameter(help="On 127.0.0.1; 0 takes a free one.")] = 8000,
    log_file: Annotated[Path | None, Parameter(help="Takes what vLLM writes; by default a file in the user's cache.")] = None,
    settings: Settings = [],  # noqa: B006
) -> None:
    """Serve a captioner with vLLM (after `make captioner`) until Ctrl-C."""
    prepare_environment()
    from coemogen_core.captioning.own_server_settings import OwnServerSettings
    from flows.captioner_command import run_captioner
    from flows.profiles import merge

    values = merge({"model": model, "port": port}, nested(settings))
    run_captioner(OwnServerSettings.model_validate(values), log_file, errors)


def nested(settings: list[str]) -> dict[str, Any]:
    """`["a.b=1", "c=x"]` as `{"a": {"b": 1}, "c": "x"}`; values are read as TOML where they can be, else as text.

    Raises:
        ValueError: an item has no `=`.
    """
    import tomllib

    from flows.profiles import merge

    values: dict[str, Any] = {}
    for setting in settings:
        key, found, text = setting.partition("=")
        if not found or not key.strip():
            raise ValueError(f"--set {setting!r} is not of the form key=value")
        try:
            value = tomllib.loads(f"value = {text}")["value"]
        except tomllib.TOMLDecodeError:
            value = text
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        values = merge(values, value)
    return values


def _say(outcome: Any) -> None:
    if all(stage.recomputed_nothing for stage in outcome.stages):
        errors.print("Nothing was recomputed: everything stood in the workspace already.")


def main() -> None:
    """Entry point: what is wrong with the input is said in a line, without a traceback."""
    from pydantic import ValidationError

    try:
        app()
    except ValidationError as error:
        for problem in error.errors():
            field = ".".join(map(str, problem["loc"]))
            text = f"{field}: {problem['msg']} (given: {problem['input']!r})"
            errors.print(f"[red]error:[/red] {escape(text)}", soft_wrap=True)
        sys.exit(2)
    except (ValueError, OSError) as error:
        errors.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        errors.print("interrupted; the same command goes on where it stopped")
        sys.exit(130)
