"""Times of stages belong to a dataset."""

from coemogen_core.storage.workspace import Workspace
from flows.outcomes import keep_timing, read_timings
from schemas.outcomes import StageOutcome


def keep(workspace: Workspace, dataset: str, stage: str, seconds: float, number: int = 1) -> None:
    keep_timing(workspace, dataset, StageOutcome(stage=stage, parts=1, rows=1, dropped=0, reused_parts=0, seconds=seconds), number)


def test_a_dataset_is_shown_its_own_times(workspace: Workspace) -> None:
    keep(workspace, "emoset", "build-emoset/embed", 3.0)
    keep(workspace, "photos", "build-emoset/embed", 5.0)
    assert read_timings(workspace, "emoset") == {"build-emoset/embed": 3.0}
    assert read_timings(workspace, "nothing") == {}


def test_times_of_several_datasets_stand_in_running_order(workspace: Workspace) -> None:
    keep(workspace, "emoset", "recaption/caption", 1.0)
    keep(workspace, "emoart", "recaption/caption", 2.0)
    keep(workspace, "emoart", "build-emoart/embed", 4.0, number=2)
    keep(workspace, "emoset", "train-and-eval/train", 8.0)
    found = read_timings(workspace, "emoset", "emoart")
    assert list(found.items()) == [
        ("build-emoart/embed", 4.0),
        ("recaption/caption", 1.0),
        ("recaption/caption (emoart)", 2.0),
        ("train-and-eval/train", 8.0),
    ]
