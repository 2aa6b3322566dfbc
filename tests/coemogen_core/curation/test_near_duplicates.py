import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from coemogen_core.curation.decide import decide
from coemogen_core.curation.decisions import CurationRecipe, read_decisions
from coemogen_core.curation.funnel import funnel
from coemogen_core.curation.near_duplicates import NearDuplicateRecipe, drop_near_duplicates, group_near_duplicates, read_groups
from coemogen_core.storage.workspace import Workspace
from schemas.tables import Images, embeddings_schema
from tests.coemogen_core.curation.curated_art import ENCODER, PARTS, RECIPE, SOURCE, build_art

ALIKE = NearDuplicateRecipe(max_distance=0.05)
WITH_GROUPS = RECIPE.model_copy(update={"near_duplicates": ALIKE})


def embed(workspace: Workspace, pictures: dict[str, tuple], alike: list[set[tuple[str, int]]], dim: int = 24) -> None:
    """Vectors far from each other, but for the pictures (colour, number) that shall look alike."""
    rng = np.random.default_rng(0)
    for part in PARTS:
        ids = workspace.table("images", SOURCE).read_part(part, ["image_id"])["image_id"].to_list()
        rows = []
        for image_id in ids:
            group = next((number for number, group in enumerate(alike) if pictures[image_id][1:3] in group), None)
            vector = rng.normal(size=dim) if group is None else np.eye(dim)[group] + 0.01 * rng.normal(size=dim)
            rows.append((vector / np.linalg.norm(vector)).astype(np.float16))
        frame = pl.DataFrame({"image_id": ids, "embedding": pl.Series(np.stack(rows))})
        workspace.table("embeddings", SOURCE, ENCODER).write_part(part, frame, embeddings_schema(dim))


def enlarge(workspace: Workspace, pictures: dict[str, tuple], sizes: dict[tuple[str, int], int]) -> None:
    for part in PARTS:
        rows = workspace.table("images", SOURCE).read_part(part)
        widths = [sizes.get(pictures[image_id][1:3], 48) for image_id in rows["image_id"]]
        workspace.table("images", SOURCE).write_part(part, rows.with_columns(width=pl.Series(widths)), Images)


@pytest.fixture
def pictures(workspace):
    return build_art(workspace)


def decisions_of(workspace, recipe) -> pl.DataFrame:
    return read_decisions(workspace, "emoart", decide(workspace, SOURCE, PARTS, recipe).version)


def test_the_largest_of_a_group_stays_and_the_others_name_it(workspace, pictures):
    kept = decisions_of(workspace, RECIPE).filter("kept")["image_id"].to_list()
    three = [pictures[image_id][1:3] for image_id in kept][:3]  # over both parts
    embed(workspace, pictures, [set(three)])
    enlarge(workspace, pictures, {three[1]: 99})
    outcome = group_near_duplicates(workspace, SOURCE, PARTS, ENCODER, ALIKE)
    assert (outcome.rows, outcome.dropped, outcome.reused) == (len(pictures), 2, False)
    decisions = decisions_of(workspace, WITH_GROUPS)
    dropped = decisions.filter(pl.col("reason") == "near-duplicate")
    assert {pictures[image_id][1:3] for image_id in dropped["image_id"]} == {three[0], three[2]}
    assert {pictures[image_id][1:3] for image_id in dropped["near_duplicate_of"]} == {three[1]}
    assert decisions.filter(pl.col("reason") != "near-duplicate")["near_duplicate_of"].null_count() == decisions.height - 2
    assert next(step for step in funnel(decisions)["steps"] if step["reason"] == "near-duplicate")["dropped"] == 2
    assert group_near_duplicates(workspace, SOURCE, PARTS, ENCODER, ALIKE).reused


def test_a_group_whose_largest_is_not_wanted_gives_its_next_one(workspace, pictures):
    alike = {("awe", 0), ("awe", 1), ("anger", 0)}  # anger 0 is not confident enough
    embed(workspace, pictures, [alike])
    enlarge(workspace, pictures, {("anger", 0): 200, ("awe", 1): 100})
    groups = read_groups(workspace, SOURCE, group_near_duplicates(workspace, SOURCE, PARTS, ENCODER, ALIKE).part)
    assert {pictures[image_id][1:3] for image_id in groups["group_id"]} == {("anger", 0)}
    before = decisions_of(workspace, RECIPE.model_copy(update={"drop_fraction": 0.0})).filter("kept").height
    decisions = decisions_of(workspace, WITH_GROUPS.model_copy(update={"drop_fraction": 0.0}))
    dropped = decisions.filter(pl.col("reason") == "near-duplicate")
    assert [pictures[image_id][1:3] for image_id in dropped["image_id"]] == [("awe", 0)]
    assert decisions.filter("kept").height == before - 1


def test_of_equally_large_ones_the_lower_id_stays():
    judged = pl.DataFrame(
        {"image_id": ["c", "a", "b"], "kept": True, "reason": "kept", "near_duplicate_of": pl.Series([None] * 3, dtype=pl.String)}
    )
    groups = pl.DataFrame({"image_id": ["a", "b", "c"], "group_id": "c", "pixels": [5, 5, 5], "distance": [0.01, 0.01, 0.0]})
    result = drop_near_duplicates(judged, groups)
    assert result["image_id"].to_list() == ["c", "a", "b"]
    assert result["kept"].to_list() == [False, True, False]
    assert result["near_duplicate_of"].to_list() == ["a", None, "a"]


def test_off_by_default_and_part_of_the_recipe():
    assert RECIPE.near_duplicates is None
    assert RECIPE.identity != WITH_GROUPS.identity
    assert CurationRecipe.model_validate(WITH_GROUPS.model_dump(mode="json")) == WITH_GROUPS


def test_groups_must_have_been_made(workspace, pictures):
    with pytest.raises(FileNotFoundError, match=r"embed source 'art' first"):
        group_near_duplicates(workspace, SOURCE, PARTS, ENCODER, ALIKE)
    with pytest.raises(FileNotFoundError, match="group the near-duplicates"):
        decide(workspace, SOURCE, PARTS, WITH_GROUPS)


def test_the_same_bytes_with_one_thread_and_with_three(workspace, pictures):
    embed(workspace, pictures, [{("awe", 0), ("awe", 1)}, {("fear", 0), ("fear", 1)}])
    code = (
        "import sys; from coemogen_core.curation.near_duplicates import *; from coemogen_core.storage.workspace import Workspace; "
        f"group_near_duplicates(Workspace(sys.argv[1]), {SOURCE!r}, {PARTS!r}, {ENCODER!r}, NearDuplicateRecipe(max_distance=0.05))"
    )
    written = []
    for threads in ("1", "3"):
        environment = os.environ | {"OMP_NUM_THREADS": threads, "POLARS_MAX_THREADS": threads, "PYTHONPATH": str(Path(__file__).parents[3])}
        subprocess.run([sys.executable, "-c", code, workspace.uri], check=True, env=environment)
        table = next(Path(workspace.uri).glob("near_duplicates/*/*/groups.parquet"))
        written.append(table.read_bytes())
        table.unlink()
    assert written[0] == written[1]
    assert pl.read_parquet(written[0]).height == 4
