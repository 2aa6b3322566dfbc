"""TensorBoard's files, read back by TensorBoard itself."""

from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from coemogen_core.storage.workspace import Workspace
from coemogen_core.training.feature_set import FeatureSet
from coemogen_core.training.loss_log import TensorBoardCurves, read_log
from coemogen_core.training.recipes import TrainingRecipe
from tests.coemogen_core.training.new_trainer import new_trainer

RECIPE = TrainingRecipe(steps=6, batch_size=4, log_every=1, checkpoint_every=2, device="cpu")


def curves(workspace: Workspace, run_id: str) -> dict[str, list[tuple[int, float]]]:
    files = EventAccumulator(str(Path(workspace.uri) / "runs" / run_id / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {tag: [(event.step, event.value) for event in files.Scalars(tag)] for tag in files.Tags()["scalars"]}


def test_the_curves_are_those_of_the_log_once_each_whatever_happened(corpus, cached, models):
    features = FeatureSet.open(corpus, "emoset", cached)
    first = new_trainer(corpus, "curves", models, features, RECIPE)
    save = first._checkpoints.save

    def killed(checkpoint) -> None:
        save(checkpoint)
        if checkpoint.step == 4:
            raise KeyboardInterrupt

    first._checkpoints.save = killed  # type: ignore[method-assign]
    try:
        first.train()
    except KeyboardInterrupt:
        new_trainer(corpus, "curves", models, features, RECIPE).train()
    lines, found = read_log(corpus, "curves"), curves(corpus, "curves")
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    for tag, name in (("L_LDM/all", "ldm"), ("L_SEM/all", "sem")):
        assert [step for step, _ in found[tag]] == [1, 2, 3, 4, 5, 6]
        assert all(abs(value - line[name]) < 1e-6 for (_, value), line in zip(found[tag], lines, strict=True))
    with_awe = [line["step"] for line in lines if "awe" in line["emotions"]]
    assert [step for step, _ in found["L_SEM/awe"]] == with_awe


def test_a_workspace_in_a_bucket_has_none():
    workspace = Workspace("memory://no-curves")
    curves = TensorBoardCurves(workspace, "run", [], enabled=True)
    curves.add({"step": 1})
    curves.close()
    assert not workspace.exists("runs", "run")
