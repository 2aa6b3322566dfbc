from pathlib import Path

import pytest

from coemogen_core.experiments.matrix import DEFAULT, ExperimentMatrix, read_matrix
from coemogen_core.experiments.published import COUNTERPARTS
from coemogen_core.methods.coemogen import CoEmoGen
from coemogen_core.training.recipes import RECIPES

SHIPPED = Path(__file__).parents[3] / "benchmarks"
LAB = RECIPES["lab"]


def write(tmp_path: Path, text: str) -> Path:
    file = tmp_path / "matrix.toml"
    file.write_text(text)
    return file


def test_the_shipped_matrix_compares_all_methods():
    matrix = read_matrix(SHIPPED / "baselines.toml")
    assert matrix.names == ("coemogen", "sd", "sd-llm", "textual-inversion", "dreambooth-lora", "emogen-like")
    assert matrix.opponents == ("sd", "coemogen")
    assert [method.name for method in matrix.resolve(LAB)] == list(matrix.names)


def test_the_shipped_ablations_differ_from_the_full_method_in_what_their_names_say():
    matrix = read_matrix(SHIPPED / "ablations.toml")
    assert matrix.opponents == ("coemogen",)
    assert {"coemogen", "without-l-sem", "without-emotion-loras", "without-polarity-loras"} == COUNTERPARTS.keys() & set(matrix.names)
    assert matrix.labels["without-l-sem"] == "without L_SEM"
    full, *others = (method.recipe for method in matrix.resolve(LAB) if isinstance(method, CoEmoGen))
    assert full == LAB
    changed = [{name for name, value in recipe if value != getattr(full, name)} for recipe in others]
    assert dict(zip(matrix.names[1:], changed, strict=True)) == {
        "without-l-sem": {"semantic_weight"},
        "without-emotion-loras": {"use_emotion_pairs"},
        "without-polarity-loras": {"use_polarity_pairs"},
        "emotion-loras-of-rank-8": {"use_polarity_pairs", "rank"},
        "polarity-loras-of-rank-8": {"use_emotion_pairs", "rank"},
        "class-vector": {"conditioner"},
        "emotion-word": {"conditioner"},
        "l-sem-as-mae": {"semantic_loss", "semantic_weight"},
        "l-sem-as-mse": {"semantic_loss", "semantic_weight"},
        "l-sem-as-kl": {"semantic_loss", "semantic_weight"},
        "captions-without-prior": set(),
        "long-captions": set(),
        "long-captions-without-prior": set(),
    }
    assert [spec.corpora for spec in matrix.methods[-3:]] == [("emoset_plain_short",), ("emoset_prior_long",), ("emoset_plain_long",)]
    assert not any(spec.corpora for spec in matrix.methods[:-3])


def test_overrides_belong_to_one_method(tmp_path):
    text = """
    seeds = [4, 2]
    [[methods]]
    method = "coemogen"
    [[methods]]
    method = "coemogen"
    name = "coemogen-short"
    settings = { steps = 10 }
    """
    matrix = read_matrix(write(tmp_path, text))
    whole, short = matrix.resolve(LAB)
    assert isinstance(whole, CoEmoGen)
    assert isinstance(short, CoEmoGen)
    assert (whole.recipe.steps, short.recipe.steps, short.with_seed(4).recipe.seed) == (2600, 10, 4)
    assert matrix.opponents == ("coemogen",)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("seeds = [", "is no TOML file"),
        ("seeds = [0]", "methods: Field required"),
        ("[[methods]]\nmethod = 'sd'\ncolour = 1", r"methods\.0\.colour: Extra inputs are not permitted"),
        ("[[methods]]\nmethod = 'sd'\n[[methods]]\nmethod = 'sd'", "two methods are called sd"),
        ("[[methods]]\nmethod = 'sd'\n[[methods]]\nmethod = 'coemogen'\nlabel = 'Stable Diffusion'", "another `label`"),
        ("[[methods]]\nmethod = 'sd'\nname = 'A B'", r"methods\.0\.name: String should match pattern '[^;]*'; methods: "),
        ("seeds = [1, 1]\n[[methods]]\nmethod = 'sd'", r"seeds \[1, 1\] must be 0 or more, each once"),
        ("seeds = [-1]\n[[methods]]\nmethod = 'sd'", "0 or more"),
        ("compared_with = ['gan']\n[[methods]]\nmethod = 'sd'", "compared_with names gan, but the methods are sd"),
        ("seeds = []\n[[methods]]\nmethod = 'sd'", "seeds: Tuple should have at least 1 item"),
    ],
)
def test_a_bad_file_is_named_with_its_fault(tmp_path, text, message):
    file = write(tmp_path, text)
    with pytest.raises(ValueError, match=message) as caught:
        read_matrix(file)
    assert "matrix.toml" in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"method": "gan"}, "method gan: unknown method 'gan'; expected one of: coemogen, sd"),
        ({"method": "coemogen", "settings": {"stepps": 1}}, r"method coemogen: settings\.stepps: Extra inputs"),
        ({"method": "sd-llm", "settings": {"prompts": "nope"}}, "method sd-llm: no file of prompts nope"),
        ({"method": "textual-inversion", "settings": {"num_tokens": 0}}, r"settings\.num_tokens: Input should be greater"),
    ],
)
def test_a_bad_method_is_refused_before_any_work(spec, message):
    matrix = ExperimentMatrix.model_validate({"methods": [spec]})
    with pytest.raises(ValueError, match=message):
        matrix.resolve(LAB)


def test_no_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="no matrix file"):
        read_matrix(tmp_path / "none.toml")


def test_without_a_matrix_ours_and_the_baseline_run_once():
    assert (DEFAULT.names, DEFAULT.seeds) == (("coemogen", "sd"), (0,))
    assert DEFAULT.labels == {"coemogen": "CoEmoGen", "sd": "Stable Diffusion"}
