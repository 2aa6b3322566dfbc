"""The paper's numbers stand in rows of their own, where the extractors are the paper's from end to end, and nowhere else."""

import pytest
import torch
from torch import nn

from coemogen_core.evaluation import inception, paper_extractors
from coemogen_core.evaluation.encoder_extractors import TwiceRescaledClipEmbedder
from coemogen_core.evaluation.inception import InceptionFid, InceptionV3
from coemogen_core.evaluation.paper_extractors import CHANNELS, AlexNetTrunk, ResNetContent, alexnet_features
from coemogen_core.experiments.files import to_csv, to_latex, to_markdown
from coemogen_core.experiments.published import CLIP, COUNTERPARTS, PUBLISHED, is_comparable
from coemogen_core.experiments.table import build_table
from coemogen_core.methods.registry import METHODS
from coemogen_core.storage.tensor_files import PublishedWeights
from tests.coemogen_core.experiments.small_matrix import experiments, run

HEAD = f"emogen-head@80f72314e31e on {CLIP.encoder_id}"
INCEPTION = "inception-v3@6726825d0af5, TensorFlow, 299 pixels bilinear with antialiasing"
LPIPS = "lpips-alexnet@7be5be791159, linear@df73285e35b2, 512 pixels, pixels in [0, 1]"
RESNETS = "resnet50 imagenet@0676ba61b679, places365@46529c86902b, 256 pixels, centre 224"
RAW_CLIP = f"{CLIP.encoder_id}, raw, pixels rescaled twice"


def test_the_papers_rows_bear_the_papers_names():
    """Our DreamBooth-LoRA and EmoGen-like are methods of ours: no number of the paper stands under them."""
    names = ("coemogen", "dreambooth-lora", "emogen-like", "mine")
    table = build_table(experiments(*(run(name, 0, 0.7, extractor=HEAD) for name in names), compared_with=()))
    markdown = to_markdown(table)
    assert "| EmoGen (paper) | | – | – | 76.25 % | – | – |" in markdown
    assert "| CoEmoGen (paper) | | – | – | 80.15 % | – | – |" in markdown  # the lab's judge measured FID
    assert "CoEmoGen's (arXiv 2508.03535): Stable Diffusion 1.5 on EmoSet, 1,000 pictures an emotion." in markdown
    assert r"DreamBooth (paper) & -- & -- & 70.50 \% & -- & -- \\" in to_latex(table)
    assert "\nEmoGen (paper),emo_a,0.7625,,,,\n" in to_csv(table)
    shown = [line for line in markdown.splitlines() if "76.25" in line or "70.50" in line or "80.15" in line]
    assert all("(paper)" in line for line in shown)


def test_no_method_of_ours_is_taken_for_one_that_the_paper_ran_otherwise():
    assert not {"textual-inversion", "dreambooth-lora", "emogen-like", "sd-llm"} & COUNTERPARTS.keys()
    assert {name for name in COUNTERPARTS if not name.startswith("without-")} <= METHODS.keys()
    assert set(COUNTERPARTS.values()) <= PUBLISHED.keys()


def test_one_number_of_another_network_takes_the_papers_column_away():
    table = build_table(experiments(run("coemogen", 0, 0.7, extractor=HEAD), run("sd", 0, 0.7)))
    assert table.published == {}
    assert "(paper)" not in to_latex(table) + to_csv(table)
    assert "named (paper)" not in to_markdown(table)


@pytest.mark.parametrize(
    ("metric", "extractor", "protocol", "comparable"),
    [
        ("fid", INCEPTION, "emogen", True),
        ("fid", INCEPTION, "corrected", False),
        ("fid", INCEPTION.replace("6726825d0af5", "000000000000"), "emogen", False),
        ("fid", INCEPTION.replace("TensorFlow", "torchvision"), "emogen", False),
        ("fid", INCEPTION.replace("299", "256"), "emogen", False),
        ("fid", INCEPTION.replace("bilinear", "bicubic"), "emogen", False),
        ("fid", f"another {INCEPTION}", "emogen", False),
        ("lpips", LPIPS, "emogen", True),
        ("lpips", LPIPS.replace("512", "64"), "emogen", False),
        ("lpips", LPIPS.replace("512", "256"), "emogen", False),
        ("lpips", LPIPS.replace("df73285e35b2", "18720f55913d"), "emogen", False),  # linear weights of LPIPS 0.0
        ("lpips", LPIPS.removesuffix(", pixels in [0, 1]"), "emogen", False),
        ("sem_c", RESNETS, "corrected", True),
        ("sem_c", RESNETS, "emogen", True),
        ("sem_c", RESNETS.replace("0676ba61b679", "11ad3fa6b8b6"), "corrected", False),  # ImageNet V2
        ("sem_c", RESNETS.replace("46529c86902b", "0676ba61b679"), "corrected", False),
        ("sem_c", RESNETS.partition(", places365")[0], "corrected", False),
        ("sem_c", RESNETS.replace("centre 224", "centre 256"), "corrected", False),
        ("sem_c", "lab-content-judge@1", "corrected", False),
        ("sem_d", RAW_CLIP, "emogen", True),
        ("sem_d", f"{CLIP.encoder_id}, raw", "emogen", False),
        ("sem_d", f"{CLIP.encoder_id}, unit length", "corrected", False),
        ("emo_a", HEAD, "corrected", True),
        ("emo_a", HEAD + "0", "corrected", False),
        ("emo_a", HEAD + "\n", "corrected", False),
        ("cmmd", "anything", "emogen", False),
    ],
)
def test_the_whole_identity_decides(metric, extractor, protocol, comparable):
    assert is_comparable(metric, extractor, protocol) is comparable


def test_the_extractors_name_themselves_as_is_asked_here(monkeypatch):
    """Random weights under the published files' digests, at the drawn pictures' size: what the identities say is comparable."""
    linear = {f"lin{layer}.model.1.weight": torch.zeros(1, channels, 1, 1) for layer, channels in enumerate(CHANNELS)}
    files = {
        "inception": (InceptionV3(tensorflow=True).state_dict() | {"fc.bias": torch.zeros(1008)}, "6726825d0af5"),
        "alexnet": ({f"features.{name}": value for name, value in alexnet_features().state_dict().items()}, "7be5be791159"),
        "linear": (linear, "df73285e35b2"),
    }
    for module in (inception, paper_extractors):
        monkeypatch.setattr(module, "read_published_weights", lambda file, _: PublishedWeights(*files[file]))
    for protocol in ("emogen", "corrected"):
        fid, lpips = InceptionFid("inception", protocol, "cpu"), AlexNetTrunk("alexnet", "linear", 512, protocol, "cpu")
        expected = protocol == "emogen"
        assert is_comparable("fid", fid.identity, "emogen") is expected, fid.identity
        assert is_comparable("lpips", lpips.identity, "emogen") is expected, lpips.identity
    assert is_comparable("sem_d", TwiceRescaledClipEmbedder(None, CLIP.encoder_id).identity, "emogen")  # type: ignore[arg-type]
    resnets = {"objects": "0676ba61b679", "scenes": "46529c86902b"}
    monkeypatch.setattr(paper_extractors, "load_resnet50", lambda file, _: (nn.Identity(), resnets[file]))
    assert is_comparable("sem_c", ResNetContent("objects", "scenes", "cpu").identity, "corrected")
