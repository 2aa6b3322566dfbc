import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.distance import cosine
from scipy.special import rel_entr, softmax

from coemogen_core.model.conditioner import semantic_loss


def test_cosine_is_that_of_scipy():
    a, b = torch.randn(4, 16, dtype=torch.float64), torch.randn(4, 16, dtype=torch.float64)
    expected = [cosine(x, y) for x, y in zip(a.numpy(), b.numpy(), strict=True)]
    assert semantic_loss(a, b).tolist() == pytest.approx(expected)


def test_kl_is_that_of_scipy_from_the_caption_to_the_conditioning():
    a, b = torch.randn(3, 8, dtype=torch.float64), torch.randn(3, 8, dtype=torch.float64)
    expected = rel_entr(softmax(b.numpy(), -1), softmax(a.numpy(), -1)).sum(-1)
    assert semantic_loss(a, b, "kl").tolist() == pytest.approx(expected.tolist())


TORCHS = {
    "cosine": lambda a, b: F.cosine_embedding_loss(a, b, torch.ones(len(a)), reduction="none"),
    "mae": lambda a, b: F.l1_loss(a, b, reduction="none").mean(-1),
    "mse": lambda a, b: F.mse_loss(a, b, reduction="none").mean(-1),
    "kl": lambda a, b: torch.distributions.kl_divergence(
        torch.distributions.Categorical(logits=b), torch.distributions.Categorical(logits=a)
    ),
}


@pytest.mark.parametrize("kind", TORCHS)
def test_every_form_and_its_gradient_are_those_of_torch(kind):
    generator = torch.Generator().manual_seed(3)
    a, b = torch.randn(2, 5, 24, generator=generator, dtype=torch.float64)
    found = []
    for loss in (lambda x, y: semantic_loss(x, y, kind), TORCHS[kind]):
        x = a.clone().requires_grad_()
        values = loss(x, b)
        values.sum().backward()
        found.append((values.detach(), x.grad))
    assert torch.allclose(found[0][0], found[1][0], atol=1e-9)
    assert torch.allclose(found[0][1], found[1][1], atol=1e-9)
    assert found[0][1].abs().sum() > 0


@given(st.sampled_from(["cosine", "mae", "mse", "kl"]), st.integers(0, 1000))
def test_every_form_is_zero_for_equal_and_positive_for_different_vectors(kind, seed):
    a, b = torch.randn(2, 6, 16, generator=torch.Generator().manual_seed(seed))
    assert semantic_loss(a, a, kind).abs().max() < 1e-5
    assert (semantic_loss(a, b, kind) > 0).all()


def test_mae_and_mse_average_over_components():
    a, b = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]])
    assert semantic_loss(a, b, "mae").item() == pytest.approx(1.5)
    assert semantic_loss(a, b, "mse").item() == pytest.approx(2.5)


def test_unknown_forms_are_refused():
    with pytest.raises(ValueError, match="expected cosine"):
        semantic_loss(torch.ones(1, 2), torch.ones(1, 2), "huber")  # type: ignore[arg-type]
