import copy

import pytest
import torch
from torch import nn

from coemogen_core.emotions import EMOTIONS
from coemogen_core.model.gates import PAIRS, gates_for
from coemogen_core.model.hilora import inject
from coemogen_core.training.optimizer import PairwiseAdamW


class TwoLinears(nn.Module):
    def __init__(self):
        super().__init__()
        self.to_q, self.to_v = nn.Linear(6, 6), nn.Linear(6, 5)

    def forward(self, x):
        return self.to_v(self.to_q(x).tanh())


def adapted():
    torch.manual_seed(0)
    model = TwoLinears()
    hilora = inject(model, rank=2)
    with torch.no_grad():
        for layer in hilora.layers.values():
            layer.lora_B.normal_()
    return model, hilora


def backward(model, hilora, labels, seed):
    hilora.set_gates(gates_for(labels))
    x = torch.randn(len(labels), 3, 6, generator=torch.Generator().manual_seed(seed))
    model(x).square().sum().backward()


def test_a_pair_that_no_sample_uses_stays_bit_by_bit():
    model, hilora = adapted()
    optimizer = PairwiseAdamW(hilora.parameters(), lr=0.1, weight_decay=0.5)
    for step in range(3):  # every pair gains momentum
        backward(model, hilora, range(8), step)
        optimizer.step()
        optimizer.zero_grad()
    before = [parameter.detach().clone() for parameter in hilora.parameters()]
    moments = copy.deepcopy(optimizer.state[hilora.parameters()[0]])
    awe, sadness = EMOTIONS.index("awe"), EMOTIONS.index("sadness")
    used = sorted(PAIRS.index(pair) for pair in ("awe", "positive"))
    for step in range(4):
        backward(model, hilora, [awe, awe], 10 + step)
        optimizer.step()
        optimizer.zero_grad()
    unused = [index for index in range(10) if index not in used]
    assert sadness in unused
    for parameter, old in zip(hilora.parameters(), before, strict=True):
        assert torch.equal(parameter[unused], old[unused])
        assert not torch.equal(parameter[used], old[used])
    after = optimizer.state[hilora.parameters()[0]]
    for name in ("step", "exp_avg", "exp_avg_sq"):
        assert torch.equal(after[name][unused], moments[name][unused])
    assert after["step"].tolist() == [7.0 if index in used else 3.0 for index in range(10)]


def test_torch_adamw_moves_such_a_pair():
    """The trap itself: the reason for an optimizer of our own."""
    model, hilora = adapted()
    optimizer = torch.optim.AdamW(hilora.parameters(), lr=0.1)
    for labels in (range(8), [1]):
        before = hilora.parameters()[0].detach().clone()
        backward(model, hilora, labels, 0)
        optimizer.step()
        optimizer.zero_grad()
    assert not torch.equal(hilora.parameters()[0][7], before[7])


def test_it_is_torch_adamw_over_one_parameter_per_pair():
    """Oracle: torch.optim.AdamW, where a pair of its own without gradient is skipped."""
    model, hilora = adapted()
    stacks = hilora.parameters()
    optimizer = PairwiseAdamW(stacks, lr=0.05, weight_decay=0.1)
    singles = [[nn.Parameter(row.clone()) for row in stack.detach()] for stack in stacks]
    oracle = torch.optim.AdamW([single for group in singles for single in group], lr=0.05, weight_decay=0.1)
    for step, labels in enumerate(([0, 5], [1], [0, 1, 6], list(range(8)), [4, 4], [2, 7])):
        optimizer.zero_grad()
        backward(model, hilora, labels, step)
        used = {*labels, *(8 + int(label >= 4) for label in labels)}
        for stack, group in zip(stacks, singles, strict=True):
            for index, single in enumerate(group):
                single.grad = stack.grad[index].clone() if index in used else None
        optimizer.step()
        oracle.step()
        for stack, group in zip(stacks, singles, strict=True):
            assert torch.allclose(stack, torch.stack([single.detach() for single in group]), atol=1e-5)


def test_ordinary_parameters_follow_torch_adamw():
    torch.manual_seed(0)
    layer = nn.Linear(5, 3)
    twin = copy.deepcopy(layer)
    ours = PairwiseAdamW([], layer.parameters(), lr=0.02)
    oracle = torch.optim.AdamW(twin.parameters(), lr=0.02, weight_decay=1e-2)
    for _ in range(10):
        x = torch.randn(4, 5)
        for module, optimizer in ((layer, ours), (twin, oracle)):
            optimizer.zero_grad()
            module(x).square().sum().backward()
            optimizer.step()
    assert torch.allclose(layer.weight, twin.weight, atol=1e-6)


def test_state_survives_a_round_trip():
    model, hilora = adapted()
    optimizer = PairwiseAdamW(hilora.parameters(), lr=0.1)
    backward(model, hilora, [0, 1], 0)
    optimizer.step()
    other = PairwiseAdamW(hilora.parameters(), lr=0.1)
    other.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    first = hilora.parameters()[0]
    assert all(torch.equal(optimizer.state[first][name], other.state[first][name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_stacks_of_different_heights_are_refused():
    with pytest.raises(ValueError, match="first dimension"):
        PairwiseAdamW([nn.Parameter(torch.zeros(10, 2)), nn.Parameter(torch.zeros(9, 2))])
