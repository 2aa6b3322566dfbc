"""The paper's numbers stand beside measured ones where the extractors are the paper's, and nowhere else."""

import pytest

from coemogen_core.experiments.files import to_latex, to_markdown
from coemogen_core.experiments.published import CLIP, PUBLISHED, is_comparable
from coemogen_core.experiments.table import build_table
from tests.coemogen_core.experiments.small_matrix import experiments, run

HEAD = f"emogen-head@80f72314e31e on {CLIP.encoder_id}"


def test_the_papers_probe_brings_the_papers_number():
    table = build_table(experiments(run("coemogen", 0, 0.7, extractor=HEAD), run("mine", 0, 0.9, extractor=HEAD)))
    assert table.rows[0].cells["emo_a"].published == PUBLISHED["coemogen"]["emo_a"]
    assert table.rows[0].cells["fid"].published is None  # the lab's judge measured it
    assert table.rows[1].cells["emo_a"].published is None  # the paper knows no such method
    assert "| coemogen, published | | – | – | 80.15 % | – | – |" in to_markdown(table)
    assert r"\quad published & -- & -- & 80.15 \% & -- & -- \\" in to_latex(table)


def test_the_labs_judge_brings_none():
    table = build_table(experiments(run("coemogen", 0, 0.7), run("coemogen", 1, 0.7, extractor=HEAD)))
    assert not any(row.has_published for row in table.rows)
    assert "published" not in to_markdown(table)


@pytest.mark.parametrize(
    ("metric", "extractor", "protocol", "comparable"),
    [
        ("fid", "inception-v3@6726825d0af5, TensorFlow, 299 pixels", "emogen", True),
        ("fid", "inception-v3@6726825d0af5, TensorFlow, 299 pixels", "corrected", False),
        ("fid", "inception-v3@000000000000, TensorFlow, 299 pixels", "emogen", False),
        ("lpips", "lpips-alexnet@7be5be791159, linear@aaaa, 256 pixels", "emogen", True),
        ("sem_c", "resnet50 imagenet@0676ba61b679, places365@bbbb", "corrected", True),
        ("sem_c", "lab-content-judge@1", "corrected", False),
        ("sem_d", f"{CLIP.encoder_id}, raw, pixels rescaled twice", "emogen", True),
        ("sem_d", f"{CLIP.encoder_id}, unit length", "corrected", False),
        ("emo_a", HEAD + "0", "corrected", False),
        ("cmmd", "anything", "emogen", False),
    ],
)
def test_the_identity_decides(metric, extractor, protocol, comparable):
    assert is_comparable(metric, extractor, protocol) is comparable
