"""The log: means over intervals, per emotion too, and what becomes of it when a training stops in the middle of one."""

import pytest
import torch

from coemogen_core.emotions import EMOTIONS
from coemogen_core.training.loss_log import LossLog, read_log, smooth
from coemogen_core.training.stopping import TrainingDivergedError


def add_step(log: LossLog, labels: list[int], diffusion: list[float], semantic: list[float]) -> None:
    log.add(torch.tensor(labels), torch.tensor(diffusion), torch.tensor(semantic))
    log.end_step()


def test_means_are_over_samples_and_over_those_of_each_emotion(workspace):
    log = LossLog(workspace, "run")
    add_step(log, [1, 1, 6], [1.0, 2.0, 6.0], [0.1, 0.3, 0.8])
    add_step(log, [6], [2.0], [0.2])
    line = log.close_interval(2, 1e-3)
    assert line["ldm"] == pytest.approx(11 / 4)
    assert line["sem"] == pytest.approx(1.4 / 4)
    assert line["emotions"].keys() == {EMOTIONS[1], EMOTIONS[6]}
    assert line["emotions"]["awe"] == pytest.approx({"ldm": 1.5, "sem": 0.2, "samples": 2})
    assert line["emotions"]["fear"] == pytest.approx({"ldm": 4.0, "sem": 0.5, "samples": 2})
    log.write()
    assert read_log(workspace, "run") == [line]
    assert read_log(workspace, "none") == []


def test_an_interval_that_was_open_goes_on_and_later_lines_go(workspace):
    whole, stopped, resumed = (LossLog(workspace, name) for name in ("whole", "stopped", "stopped"))
    steps = [([0, 3], [0.5, 0.25], [0.1, 0.2]), ([4, 5], [0.125, 1.0], [0.3, 0.4]), ([0, 5], [2.0, 4.0], [0.5, 0.6])]
    for log, some in ((whole, steps), (stopped, steps[:2])):
        for number, step in enumerate(some):
            add_step(log, *step)
            if number == 0:
                log.close_interval(1, 1e-3)
    sums = stopped.open_sums(2)
    stopped.lines.append({"step": 3, "ldm": 9.0})  # written by a training that was killed after its last checkpoint
    stopped.write()
    resumed.resume(2, sums)
    add_step(resumed, *steps[2])
    expected, found = whole.close_interval(3, 1e-3), resumed.close_interval(3, 1e-3)
    assert [line["step"] for line in resumed.lines] == [1, 3]
    assert {**found, "seconds_per_step": 0} == {**expected, "seconds_per_step": 0}


@pytest.mark.parametrize("broken", [float("nan"), float("inf")])
def test_a_loss_that_is_no_number_is_found_in_the_open_interval_and_at_its_end(workspace, broken):
    log = LossLog(workspace, "run")
    add_step(log, [0], [0.5], [0.5])
    log.close_interval(1, 1e-3)
    add_step(log, [0], [broken], [0.5])
    add_step(log, [0], [0.5], [0.5])
    for look in (lambda: log.open_sums(3), lambda: log.close_interval(3, 1e-3)):
        with pytest.raises(TrainingDivergedError, match="between steps 1 and 3"):
            look()


def test_an_exploding_loss_stops_and_usual_ups_and_downs_do_not(workspace):
    log = LossLog(workspace, "run", semantic_weight=0.5, explosion_factor=10.0)
    for step, loss in enumerate([0.1, 9.0, 0.1, 0.2, 0.1, 0.9]):  # too few to judge the second by; the last is nine times the median
        add_step(log, [2], [loss], [0.0])
        log.close_interval(step + 1, 1e-3)
    add_step(log, [2], [0.6], [2.0])  # L = 0.6 + 0.5 * 2
    with pytest.raises(TrainingDivergedError, match=r"exploded between steps 6 and 7: 1.6, more than 10 times .* median 0.15"):
        log.close_interval(7, 1e-3)
    unbounded = LossLog(workspace, "run", explosion_factor=None)
    for step, loss in enumerate([0.1] * 8 + [1e9]):
        add_step(unbounded, [2], [loss], [0.0])
        unbounded.close_interval(step + 1, 1e-3)
    assert len(unbounded.lines) == 9


def test_the_smoothed_loss_is_a_weighted_mean_of_all_intervals(workspace):
    log = LossLog(workspace, "run", semantic_weight=2.0)
    assert log.smoothed_loss is None
    for step, (diffusion, semantic) in enumerate([(1.0, 0.5), (0.5, 0.25)]):
        add_step(log, [0], [diffusion], [semantic])
        log.close_interval(step + 1, 1e-3)
    assert log.smoothed_loss == pytest.approx((0.9 * 2.0 + 1.0) / 1.9)
    assert smooth([3.0] * 5) == pytest.approx([3.0] * 5)
    assert smooth([]) == []
