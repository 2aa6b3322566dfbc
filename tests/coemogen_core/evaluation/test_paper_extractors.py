"""The paper's networks from files of random weights: against the code that the weights were published for, and what is refused."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from coemogen_core.evaluation import lpips
from coemogen_core.evaluation.definitions import tolerance
from coemogen_core.evaluation.features import LabelledImage, compute_features
from coemogen_core.evaluation.inception import InceptionFid, InceptionV3
from coemogen_core.evaluation.paper_extractors import (
    CHANNELS,
    EDGE,
    RENAMED,
    SIDE,
    AlexNetTrunk,
    PaperExtractors,
    ResNetContent,
    alexnet_features,
    load_resnet50,
)
from coemogen_core.evaluation.recipe import EvaluationRecipe, load_extractors
from coemogen_core.evaluation.resizing import resize, resize_and_crop
from tests.oracles import oracle


def randomise(network: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    """Weights that carry a signal through, and batch normalisation with statistics of its own: a missing or exchanged tensor shows."""
    generator = torch.Generator().manual_seed(seed)
    for name, value in network.state_dict().items():
        if value.ndim == 4:
            value.copy_(torch.randn(value.shape, generator=generator) * (2 / value[0].numel()) ** 0.5)
        elif name.endswith(("running_mean", "bias")):
            value.copy_(torch.randn(value.shape, generator=generator) * 0.1)
        elif name.endswith("running_var"):
            value.copy_(torch.rand(value.shape, generator=generator) * 0.5 + 0.75)
    return network.eval()


@pytest.fixture(scope="module")
def pictures() -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    coarse = generator.integers(0, 256, (3, 12, 12, 3)).astype(np.uint8)
    sizes = ((299, 299), (299, 299), (320, 200))
    return [np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC)) for rgb, size in zip(coarse, sizes, strict=True)]


@pytest.fixture(scope="module")
def inception_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("weights") / "inception.pth"
    torch.manual_seed(0)
    state = randomise(InceptionV3(tensorflow=True)).state_dict()
    torch.save(state | {"fc.weight": torch.randn(1008, 2048), "fc.bias": torch.zeros(1008)}, file)
    return file


@pytest.fixture(scope="module")
def alexnet_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    features = {f"features.{name}": value for name, value in alexnet_features().state_dict().items()}
    torch.save(features | {"classifier.6.weight": torch.zeros(10, 4096)}, folder / "alexnet.pth")
    torch.save({f"lin{k}.model.1.weight": torch.rand(1, channels, 1, 1) for k, channels in enumerate(CHANNELS)}, folder / "linear.pth")
    return folder / "alexnet.pth", folder / "linear.pth"


def torchvision_names(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Names of transformers' ResNet as torchvision's, written apart from the adapter's table."""
    renamed = {}
    for name, value in state.items():
        parts = name.split(".")
        if name.startswith("resnet.embedder"):
            new = ("conv1" if parts[3] == "convolution" else "bn1") + "." + parts[-1]
        elif name.startswith("classifier"):
            new = f"fc.{parts[-1]}"
        else:
            block = f"layer{int(parts[3]) + 1}.{parts[5]}"
            if parts[6] == "shortcut":
                new = f"{block}.downsample.{0 if parts[7] == 'convolution' else 1}.{parts[-1]}"
            else:
                new = f"{block}.{'conv' if parts[8] == 'convolution' else 'bn'}{int(parts[7]) + 1}.{parts[-1]}"
        renamed[new] = value
    return renamed


@pytest.fixture(scope="module")
def resnets(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[torch.nn.Module]]:
    """An ImageNet file as torchvision saves it, a Places365 file as its authors do, and the networks in them."""
    from transformers import ResNetConfig, ResNetForImageClassification

    folder = tmp_path_factory.mktemp("weights")
    networks = []
    for seed, labels in enumerate((10, 7)):
        torch.manual_seed(seed)
        networks.append(randomise(ResNetForImageClassification(ResNetConfig(num_labels=labels)), seed))
    objects, scenes = (torchvision_names(network.state_dict()) for network in networks)
    torch.save(objects, folder / "resnet50.pth")
    wrapped = {"epoch": 90, "arch": "resnet50", "state_dict": {f"module.{name}": value for name, value in scenes.items()}}
    torch.save(wrapped, folder / "places.pth.tar")
    return folder / "resnet50.pth", folder / "places.pth.tar", networks


def test_inception_gives_torch_fidelitys_features(inception_file: Path, pictures: list[np.ndarray]) -> None:
    reference = oracle("torch_fidelity.feature_extractor_inceptionv3")
    network = reference.FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(inception_file))
    expected = network(torch.from_numpy(np.stack(pictures[:2])).permute(0, 3, 1, 2))[0].numpy()
    found = InceptionFid(str(inception_file)).features(pictures[:2])  # 299 pixels already: nothing is resized on either side
    assert found.shape == (2, 2048)
    assert np.abs(found - expected).max() < 1e-5 * np.abs(expected[0] - expected[1]).max()


def test_inception_with_torchvisions_weights_is_another_network(inception_file: Path, tmp_path: Path, pictures: list[np.ndarray]) -> None:
    state = torch.load(inception_file, weights_only=True)
    state |= {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000), "AuxLogits.fc.bias": torch.zeros(1000)}
    torch.save(state, tmp_path / "torchvision.pth")
    first, second = InceptionFid(str(inception_file)), InceptionFid(str(tmp_path / "torchvision.pth"))
    assert "TensorFlow" in first.identity
    assert "torchvision" in second.identity
    assert not np.allclose(first.features(pictures), second.features(pictures), rtol=1e-3)


def test_under_emogen_inception_sees_pictures_as_the_public_code_reduces_them(inception_file: Path) -> None:
    """Its metrics/FID.py: torchvision's Resize((299, 299)) of a Pillow picture, which is Pillow's bilinear kernel, then torchmetrics."""
    reference = oracle("torch_fidelity.feature_extractor_inceptionv3")
    network = reference.FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=str(inception_file))
    large = np.random.default_rng(0).integers(0, 256, (512, 700, 3)).astype(np.uint8)
    reduced = np.array(Image.fromarray(large).resize((299, 299), Image.Resampling.BILINEAR))
    expected = network(torch.from_numpy(reduced[None]).permute(0, 3, 1, 2))[0].numpy()
    public, corrected = InceptionFid(str(inception_file), "emogen"), InceptionFid(str(inception_file))
    assert np.abs(public.features([large]) - expected).max() < 1e-5 * np.abs(expected).max()
    assert not np.allclose(corrected.features([large]), expected, rtol=1e-4)
    assert "299 pixels bilinear" in public.identity
    assert "299 pixels bicubic" in corrected.identity


def test_alexnet_lpips_is_that_of_the_lpips_package(alexnet_files: tuple[Path, Path]) -> None:
    weights, linear = (str(file) for file in alexnet_files)
    trunk = AlexNetTrunk(weights, linear, side=128)
    pictures = [np.random.default_rng(k).integers(0, 256, (128, 128, 3)).astype(np.uint8) for k in range(4)]

    def features() -> torch.nn.Module:
        network = alexnet_features()
        network.load_state_dict({k.removeprefix("features."): v for k, v in torch.load(weights, weights_only=True).items() if "feat" in k})
        return network

    package = oracle("lpips.lpips", features)
    vars(package.pn.tv)["alexnet"] = lambda **_: torch.nn.ModuleDict({"features": features()})
    network = package.LPIPS(net="alex", model_path=linear, verbose=False)
    pixels = resize(pictures, 128)
    for protocol, normalise in (("corrected", True), ("emogen", False)):
        trunk = AlexNetTrunk(weights, linear, 128, protocol)  # type: ignore[arg-type]
        pairs = lpips.circle_distances(iter(lpips.perceptual_vectors(trunk.feature_maps(pictures), trunk.layer_weights)), 4, 8)
        with torch.no_grad():
            expected = network(pixels[pairs.left], pixels[pairs.right], normalize=normalise).numpy().ravel()
        assert len(expected) == 6
        assert np.abs(pairs.distance / expected - 1).max() < tolerance("lpips")
    assert "pixels in [0, 1]" in trunk.identity


def test_the_linear_weights_that_the_lpips_package_carries(alexnet_files: tuple[Path, Path]) -> None:
    file = Path(str(oracle("lpips", alexnet_features).__file__)).parent / "weights" / "v0.1" / "alex.pth"
    weights = AlexNetTrunk(str(alexnet_files[0]), str(file), 64).layer_weights
    assert [len(layer) for layer in weights] == list(CHANNELS)
    assert all((layer >= 0).all() for layer in weights)


def test_both_resnets_answer_as_the_networks_they_were_saved_from(
    resnets: tuple[Path, Path, list[torch.nn.Module]], pictures: list[np.ndarray]
) -> None:
    objects, scenes, networks = resnets
    found = ResNetContent(str(objects), str(scenes)).top1_probabilities(pictures)
    pixels = resize_and_crop(pictures, EDGE, SIDE)
    mean, spread = torch.tensor([0.485, 0.456, 0.406])[:, None, None], torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    for values, network in zip(found, networks, strict=True):
        with torch.no_grad():
            expected = network((pixels - mean) / spread).logits.softmax(-1).amax(-1).numpy()
        assert values == pytest.approx(expected, rel=1e-5)
    assert len({pattern for pattern, _ in RENAMED}) == 7


def test_the_middle_of_a_picture_is_what_is_classified() -> None:
    rgb = np.zeros((300, 600, 3), np.uint8)
    rgb[:, 300:] = 255
    assert tuple(resize_and_crop([rgb], EDGE, SIDE).shape) == (1, 3, SIDE, SIDE)
    assert resize_and_crop([rgb], EDGE, SIDE)[0].mean() == pytest.approx(0.5, abs=0.01)


@pytest.fixture(scope="module")
def paths(
    inception_file: Path, alexnet_files: tuple[Path, Path], resnets: tuple[Path, Path, list[torch.nn.Module]], tiny_clip: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> PaperExtractors:  # fmt: skip
    from coemogen_core.encoders.clip_encoder import EncoderRecipe, load_encoder

    head = tmp_path_factory.mktemp("weights") / "head.pth"
    width = load_encoder(EncoderRecipe(model=str(tiny_clip), unit_length=False)).dim
    torch.save({"fc.weight": torch.randn(8, width), "fc.bias": torch.zeros(8)}, head)
    files = {"inception": inception_file, "alexnet": alexnet_files[0], "lpips_linear": alexnet_files[1], "emotion_head": head}
    files |= {"imagenet_resnet50": resnets[0], "places365_resnet50": resnets[1], "clip": tiny_clip}
    return PaperExtractors(**{name: str(file) for name, file in files.items()}, lpips_side=64)  # type: ignore[arg-type]


@pytest.mark.parametrize("protocol", ["corrected", "emogen"])
def test_all_features_of_a_picture_set(
    paths: PaperExtractors, pictures: list[np.ndarray], png: Callable[..., bytes], protocol: str
) -> None:
    recipe = EvaluationRecipe(extractors="paper", paper=paths, protocol=protocol)  # type: ignore[arg-type]
    extractors = load_extractors(recipe)
    images = [LabelledImage(str(k), "awe", png(1, k)) for k in range(3)]
    found = compute_features(images, extractors, recipe.model_copy(update={"batch_size": 2}))
    assert found.fid.shape == (3, 2048)
    assert found.probabilities.shape == (1, 3, 8)
    assert np.allclose(found.probabilities.sum(-1), 1, atol=1e-5)
    assert np.isfinite(found.pair_distance).all()
    assert len(found.pair_distance) == (3 if protocol == "corrected" else 0)
    lengths = np.linalg.norm(found.embeddings, axis=1)
    assert np.allclose(lengths, 1, atol=1e-5) == (protocol == "corrected")
    assert recipe.features_id(extractors) != EvaluationRecipe().features_id(extractors) or protocol == "corrected"


def test_what_is_no_such_file_is_refused_with_what_is_expected(
    paths: PaperExtractors, inception_file: Path, alexnet_files: tuple[Path, Path], tmp_path: Path
) -> None:
    with pytest.raises(ValueError, match=r"does not fit.*Inception-V3"):
        InceptionFid(str(alexnet_files[0]))
    with pytest.raises(ValueError, match="linear weights of the lpips package"):
        AlexNetTrunk(str(alexnet_files[0]), str(inception_file), 64)
    with pytest.raises(ValueError, match="no classifier of torchvision's layout"):
        load_resnet50(str(alexnet_files[0]), "a ResNet-50")
    with pytest.raises(FileNotFoundError, match="absent"):
        InceptionFid(str(tmp_path / "absent.pth"))
    for content in (b"", b"nothing of the kind" * 40):
        (tmp_path / "broken.pth").write_bytes(content)
        with pytest.raises(ValueError, match="is refused, it is damaged"):
            InceptionFid(str(tmp_path / "broken.pth"))
    torch.save([1, 2], tmp_path / "list.pth")
    with pytest.raises(ValueError, match="holds no state dict"):
        InceptionFid(str(tmp_path / "list.pth"))
    torch.save({"fc.weight": torch.randn(8, 768), "fc.bias": torch.zeros(8)}, tmp_path / "wide.pth")
    with pytest.raises(ValueError, match=r"reads image embeddings of 768 numbers, but .* gives"):
        load_extractors(EvaluationRecipe(extractors="paper", paper=paths.model_copy(update={"emotion_head": str(tmp_path / "wide.pth")})))


def test_the_recipe_wants_paths_for_the_papers_extractors_only(paths: PaperExtractors) -> None:
    with pytest.raises(ValidationError, match="needs the paths"):
        EvaluationRecipe(extractors="paper")
    with pytest.raises(ValidationError, match="lab takes none"):
        EvaluationRecipe(paper=paths)
    with pytest.raises(ValidationError, match="themselves"):
        EvaluationRecipe(extractors="paper", paper=paths, clip_model="clip")
    with pytest.raises(ValidationError, match="lpips_side"):
        PaperExtractors(**{**paths.model_dump(), "lpips_side": 8})
