"""On a machine with a GPU, which is pretended here, every network of an evaluation runs where its recipe says, once it is asked."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch

from coemogen_core.encoders import clip_encoder
from coemogen_core.evaluation.extractors import ExtractorSet
from coemogen_core.evaluation.lab_extractors import lab_extractors
from coemogen_core.evaluation.paper_extractors import PaperExtractors, paper_extractors
from schemas.choices import Device, EvaluationProtocol
from tests.coemogen_core.evaluation.test_paper_extractors import alexnet_files, inception_file, paths, resnets

__all__ = ["alexnet_files", "inception_file", "paths", "resnets"]


class MovedError(Exception):
    """A network goes to the GPU."""


@pytest.fixture(autouse=True)
def gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose GPU may be named, and is noticed when it is used."""
    to = torch.nn.Module.to

    def watched(network: torch.nn.Module, *place: Any, **how: Any) -> torch.nn.Module:
        if any(torch.device(each).type == "cuda" for each in place if isinstance(each, (str, torch.device))):
            raise MovedError
        return to(network, *place, **how)

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", watched)
    clip_encoder._load_encoder.cache_clear()
    yield
    clip_encoder._load_encoder.cache_clear()


def asked(extractors: ExtractorSet) -> list[Callable[[list[np.ndarray]], Any]]:
    """Everything that a metric may ask a network."""
    probes = [probe.probabilities for probe in extractors.emotion_probes]
    return [
        extractors.fid.features,
        extractors.perceptual.feature_maps,
        extractors.content.top1_probabilities,
        extractors.clip.embeddings,
        *probes,
    ]


@pytest.fixture(params=["lab", "paper"])
def load(request: pytest.FixtureRequest, paths: PaperExtractors) -> Callable[..., ExtractorSet]:
    def loaded(*place: Any) -> ExtractorSet:
        return lab_extractors(paths.clip, *place) if request.param == "lab" else paper_extractors(paths, *place)

    return loaded


@pytest.mark.parametrize("protocol", ["corrected", "emogen"])
@pytest.mark.parametrize("device", ["auto", "cuda"])
def test_networks_are_loaded_without_the_gpu_and_asked_on_it(
    load: Callable[..., ExtractorSet], device: Device, protocol: EvaluationProtocol
) -> None:
    black = [np.zeros((64, 64, 3), np.uint8)]
    for ask in asked(load(device, protocol)):
        with pytest.raises(MovedError):
            ask(black)


def test_networks_that_are_told_so_stay_on_the_cpu(load: Callable[..., ExtractorSet]) -> None:
    for ask in asked(load("cpu")):
        assert len(ask([np.zeros((64, 64, 3), np.uint8)])) > 0
