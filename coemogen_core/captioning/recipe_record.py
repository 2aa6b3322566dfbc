"""`caption_recipes/<source>/<recipe id>.json`: what a recipe id in the captions table stands for, prompt text included."""

from typing import Any

from coemogen_core.captioning.answer_form import SENTENCE, answer_schema, form_instruction
from coemogen_core.captioning.prompt import load_prompt
from coemogen_core.captioning.recipe import BackendName, CaptionRecipe
from coemogen_core.data.workspace import Workspace

FOLDER = "caption_recipes"


def write_recipe_record(workspace: Workspace, source: str, recipe: CaptionRecipe, backend: BackendName) -> None:
    """Write the record of a recipe, unless it is there."""
    name = f"{recipe.recipe_id(backend)}.json"
    if workspace.exists(FOLDER, source, name):
        return
    structured = recipe.answer != SENTENCE
    record = {
        "recipe_id": recipe.recipe_id(backend),
        "backend": backend,
        "model_identity": recipe.model_identity(backend),
        "recipe": recipe.model_dump(mode="json"),
        "prompt": load_prompt(recipe.prompt_id).model_dump(mode="json"),
        "answer_form": {"instruction": form_instruction(recipe.answer), "schema": answer_schema()} if structured else None,
    }
    workspace.write_json(record, FOLDER, source, name)


def read_recipe_records(workspace: Workspace, source: str) -> dict[str, Any]:
    """Records of all recipes that a source was captioned with, by recipe id."""
    names = workspace.list_files(FOLDER, source)
    return {name.removesuffix(".json"): workspace.read_json(FOLDER, source, name) for name in names}
