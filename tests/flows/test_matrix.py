"""train-and-eval with a matrix, on tiny models: tables, report, shared caches, and nothing computed twice; bad files refused at once."""

from pathlib import Path
from typing import Any

import pytest

from coemogen_core.evaluation.reference import ReferenceSelection, select_reference
from coemogen_core.experiments.files import read_experiments
from coemogen_core.methods.sample_plan import SampleSet
from coemogen_core.storage.workspace import Workspace
from flows.command_line import main
from schemas.metrics import EvaluationProtocol, Metrics
from schemas.outcomes import RunOutcome
from tests.flows.chain import run_training

OWN = "tests.coemogen_core.methods.grey_generator:GreyGenerator"
MATRIX = {
    "seeds": [0, 1],
    "methods": [
        {"method": "coemogen"},
        {"method": "sd"},
        {"method": "textual-inversion", "settings": {"num_tokens": 1}},
        {"method": OWN, "settings": {"side": 32}},
    ],
}

ABLATIONS = {
    "seeds": [0, 1],
    "compared_with": ["full"],
    "methods": [
        {"method": "coemogen", "name": "full", "label": "full method"},
        {"method": "coemogen", "name": "without-l-sem", "label": "without L_SEM", "settings": {"semantic_weight": 0.0}},
    ],
}


@pytest.mark.slow
def test_a_matrix_shares_what_stands_there_and_is_computed_once(chain_copy: Workspace, tiny_clip: Path, tiny_diffusion: Path) -> None:
    workspace = chain_copy
    alone = run_training(workspace.uri, tiny_clip, tiny_diffusion)
    outcome = run_training(workspace.uri, tiny_clip, tiny_diffusion, matrix=MATRIX)
    names = ["coemogen", "sd", "textual-inversion", "grey-generator"]
    assert list(outcome.sample_runs) == names
    assert {name: outcome.sample_runs[name] for name in alone.sample_runs} == alone.sample_runs  # seed 0 was there already
    assert outcome.model_run_id == alone.model_run_id
    found = read_experiments(workspace, outcome.run_id)
    assert found is not None
    assert [(each.method, each.seed) for each in found.runs] == [(name, seed) for name in names for seed in (0, 1)]
    assert (found.compared_with, found.budgets) == (("sd", "coemogen"), {"coemogen": 16, "textual-inversion": 16})
    assert all(len(each.recognised["awe"]) == 2 for each in found.runs)
    files = workspace.list_files("runs", outcome.run_id)
    assert {"experiments.csv", "experiments.json", "experiments.md", "experiments.tex", "metrics.json", "report.html"} <= set(files)
    page = workspace.read_file("runs", outcome.run_id, "report.html").decode()
    assert 'id="experiments"' in page
    assert "McNemar over pictures" in page
    assert "The paper’s numbers are not shown" in page
    again = run_training(workspace.uri, tiny_clip, tiny_diffusion, matrix=MATRIX)
    assert again.run_id == outcome.run_id
    assert all(stage.recomputed_nothing for stage in again.stages)
    assert 'id="experiments"' not in workspace.read_file("runs", alone.run_id, "report.html").decode()
    ablations_share_features_trainings_and_noise(
        workspace, run_training(workspace.uri, tiny_clip, tiny_diffusion, matrix=ABLATIONS), outcome
    )


def ablations_share_features_trainings_and_noise(workspace: Workspace, outcome: RunOutcome, before: RunOutcome) -> None:
    """A matrix of one method's variants, none of them called as the method is, after a matrix that has the method itself."""
    stages = {stage.stage.partition("/")[2]: stage for stage in outcome.stages}
    assert stages["features"].recomputed_nothing
    assert (stages["train"].parts, stages["train"].reused_parts) == (4, 2)  # the full method was trained already
    assert outcome.model_run_id == before.model_run_id
    runs = {**outcome.sample_runs, "coemogen": before.sample_runs["coemogen"]}
    seeds, pictures = zip(*(drawn(workspace, run_id, method) for method, run_id in runs.items()), strict=True)
    assert seeds[0] == seeds[1] == seeds[2] == [0, 1]
    assert pictures[0] == pictures[2] != pictures[1]
    found = read_experiments(workspace, outcome.run_id)
    assert found is not None
    assert (found.compared_with, found.budgets) == (("full",), {"full": 16, "without-l-sem": 16})
    table = workspace.read_file("runs", outcome.run_id, "experiments.md").decode()
    assert "| without L_SEM | 2 |" in table
    assert "| without L_SEM | full method |" in table
    page = workspace.read_file("runs", outcome.run_id, "report.html").decode()
    assert 'id="experiments"' in page
    assert "Emo-A, full method" in page
    assert '<th scope="row">without L_SEM</th><td>2</td>' in page


def test_ablations_are_measured_by_the_protocol_that_the_evaluation_names(
    chain_copy: Workspace, tiny_clip: Path, tiny_diffusion: Path, prefect_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The public code compares with all of EmoSet, training pictures included."""
    asked: list[str] = []

    def select(workspace: Workspace, source: str, minimum: int, protocol: EvaluationProtocol, *rest: Any) -> ReferenceSelection:
        asked.append(protocol)
        return select_reference(workspace, source, minimum, protocol, *rest)

    monkeypatch.setattr("tasks.evaluate.select_reference", select)
    evaluation = {"clip_model": str(tiny_clip), "resamples": 20, "protocol": "emogen"}
    outcome = run_training(chain_copy.uri, tiny_clip, tiny_diffusion, matrix={**ABLATIONS, "seeds": [0]}, evaluation=evaluation)
    metrics = Metrics.model_validate_json(chain_copy.read_file("runs", outcome.run_id, "metrics.json"))
    found = read_experiments(chain_copy, outcome.run_id)
    assert found is not None
    assert metrics.reference is not None
    assert (asked, metrics.protocol, found.protocol) == (["emogen"], "emogen", "emogen")
    assert metrics.reference.images == 127  # all but the broken one


def drawn(workspace: Workspace, run_id: str, method: str) -> tuple[list[int], list[bytes]]:
    """Seeds and pictures of awe."""
    rows = SampleSet(workspace, run_id, method).read("awe", ["seed", "image"])
    return rows["seed"].to_list(), [image["bytes"] for image in rows["image"]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[methods]]\nmethod = 'gan'", "method gan: unknown method 'gan'; expected one of: coemogen, sd"),
        ("[[methods]]\nmethod = 'sd'\n[[methods]]\nmethod = 'sd'", "two methods are called sd"),
        ("[[methods]]\nmethod = 'coemogen'\nsettings = { stepps = 3 }", "settings.stepps: Extra inputs are not permitted"),
    ],
)
def test_a_bad_matrix_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch, text: str, message: str
) -> None:
    file = tmp_path / "matrix.toml"
    file.write_text(text)
    monkeypatch.setattr("sys.argv", ["coemogen", "train-and-eval", "--workspace", str(tmp_path / "none"), "--matrix", str(file)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "none").exists()
