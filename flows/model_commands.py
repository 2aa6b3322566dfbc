"""A command about a trained model: an emotion of it as files for other tools.

It wraps `coemogen_core.generation.lora_export`, draws no picture and takes seconds, so it is no flow.
"""

from coemogen_core.emotions import EMOTIONS
from coemogen_core.generation.lora_export import ExportedLora, ExportRecipe, LoraExporter
from coemogen_core.model.base_models import BaseModels
from coemogen_core.storage.workspace import Workspace

ALL = "all"


def export_lora(
    *,
    workspace: str,
    run_id: str,
    emotion: str,
    destination: str,
    models: BaseModels,
    intensity: float = 1.0,
    name: str | None = None,
    licence: str | None = None,
) -> list[ExportedLora]:
    """Write a LoRA, an embedding and a card for an emotion, a fusion, or each emotion that the model was trained on.

    Args:
        workspace: folder or URI of the tables.
        run_id: run of the trained model.
        emotion: `awe`, `awe=0.6,fear=0.4`, or `all`.
        destination: folder or URI; each export is a folder in it.
        models: the base models that the run was trained on.
        intensity: factor on the gates.
        name: of the export; none = made of the emotions.
        licence: of the export; none = not stated.

    Raises:
        FileNotFoundError: the run holds no finished model.
        ValueError: an emotion that does not exist or that the training corpus lacked; or one name for all emotions.
    """
    if emotion == ALL and name is not None:
        raise ValueError("--name is for one export: leave it out with --emotion all")
    exporter = LoraExporter(Workspace(workspace).path("runs", run_id, "model"), models)
    queries = [{each: 1.0} for each in exporter.emotions] if emotion == ALL else [parse_query(emotion)]
    recipes = [ExportRecipe(weights=query, intensity=intensity, name=name, licence=licence) for query in queries]
    exports = [exporter.export(recipe, destination) for recipe in recipes]
    for export in exports:
        print(f"{export.folder}: LoRA of rank {export.rank}, embedding <{export.name}>")
    if emotion == ALL and (missing := [each for each in EMOTIONS if each not in exporter.emotions]):
        print(f"left out, the training corpus had no such pictures: {', '.join(missing)}")
    return exports


def parse_query(text: str) -> dict[str, float]:
    """`awe` as `{"awe": 1}`, `awe=0.6,fear=0.4` as `{"awe": 0.6, "fear": 0.4}`.

    Raises:
        ValueError: a weight is no number, or an emotion stands there twice.
    """
    weights: dict[str, float] = {}
    for item in text.split(","):
        name, found, weight = item.partition("=")
        if name.strip() in weights:
            raise ValueError(f"--emotion {text!r} names {name.strip()!r} twice: add its weights up")
        try:
            weights[name.strip()] = float(weight) if found else 1.0
        except ValueError:
            raise ValueError(f"--emotion {text!r}: {weight!r} is no number; write e.g. awe=0.6,fear=0.4") from None
    return weights
