import json

import pytest
import torch

from coemogen_core.model.clusters import EmotionClusters
from coemogen_core.model.conditioner import ConditionerConfig
from coemogen_core.model.saved_model import SavedModel, SavedModelConfig
from coemogen_core.storage.workspace import Workspace


@pytest.fixture
def model() -> SavedModel:
    config = SavedModelConfig(
        base_models={"diffusion": "sha256:1", "clip": "sha256:2"},
        conditioner=ConditionerConfig(),
        visual_width=4,
        rank=4,
        alpha=4,
        targets=("to_q",),
        use_emotion_pairs=True,
        use_polarity_pairs=False,
        training={"images_per_emotion": {"awe": 12}},
    )
    clusters = EmotionClusters.fit(torch.randn(8, 4), torch.arange(8))
    return SavedModel(config, {"mapper.w": torch.randn(3, 2).t()}, {"to_q.lora_A.awe": torch.randn(4, 2)}, clusters)


@pytest.mark.parametrize("scheme", ["file", "memory"])
def test_a_saved_model_comes_back(model, tmp_path, scheme):
    folder = str(tmp_path / "model") if scheme == "file" else "memory://saved-model"
    model.save(folder)
    loaded = SavedModel.load(folder)
    assert loaded.config == model.config
    assert torch.equal(loaded.conditioner["mapper.w"], model.conditioner["mapper.w"])
    assert torch.equal(loaded.hilora["to_q.lora_A.awe"], model.hilora["to_q.lora_A.awe"])
    assert torch.equal(loaded.clusters.sample("fear", 1), model.clusters.sample("fear", 1))
    assert "| awe | 12 |" in Workspace(folder).read_file("README.md").decode()


def test_a_gate_leaves_untrained_pairs_closed(model):
    gate = model.config.gate({"awe": 0.5, "fear": 0.5}, intensity=2.0)
    assert gate.tolist() == [0, 1, 0, 0, 0, 0, 1, 0, 0, 0]  # this model was trained without polarity pairs


def test_half_a_model_is_none(model, tmp_path):
    model.save(str(tmp_path))
    (tmp_path / "config.json").unlink()
    with pytest.raises(FileNotFoundError, match="train first"):
        SavedModel.load(str(tmp_path))


def test_a_later_format_is_refused(model, tmp_path):
    model.save(str(tmp_path))
    fields = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**fields, "format": 99}))
    with pytest.raises(ValueError, match="update coemogen"):
        SavedModel.load(str(tmp_path))
