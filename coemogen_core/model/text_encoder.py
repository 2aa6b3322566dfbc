"""The frozen CLIP text encoder, fed with embeddings instead of word ids."""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, PreTrainedTokenizerBase

from coemogen_core.encoders.filled_batches import filled_up


class EncodedText(NamedTuple):
    """What the text encoder makes of a batch of prompts."""

    sequence: Tensor  # [batch, positions, width]: last hidden state after the final norm, what the U-Net attends to
    projected: Tensor | None = None  # [batch, projection]: the state at EOS in CLIP's joint space; None without its projection

    @property
    def pooled(self) -> Tensor:
        """The prompt in CLIP's joint space, e_c [batch, projection].

        Raises:
            ValueError: the text encoder has no projection into it.
        """
        if self.projected is None:
            raise ValueError("this text encoder has no projection into CLIP's joint space: load it with one")
        return self.projected


class FrozenTextEncoder(nn.Module):
    """CLIP's text encoder over pseudo-words between BOS and EOS, padded as its tokenizer pads, with position embeddings and causal mask.

    The encoder's own forward runs on a template of ids while the output of its embedding table is exchanged at the pseudo-words' places:
    mask, final norm and pooling rule are the library's, whatever its attention implementation.
    """

    def __init__(self, text_model: CLIPTextModel, tokenizer: PreTrainedTokenizerBase, projection: nn.Linear | None = None) -> None:
        super().__init__()
        self.text_model = text_model.requires_grad_(False).eval()
        self.projection = None if projection is None else projection.requires_grad_(False).eval()
        self.tokenizer = tokenizer
        self.max_length = int(text_model.config.max_position_embeddings)

    @property
    def width(self) -> int:
        """Width of a word embedding (768 for CLIP ViT-L/14)."""
        return int(self.text_model.config.hidden_size)

    @property
    def word_scale(self) -> float:
        """Standard deviation of the word embeddings' components."""
        return float(self.text_model.get_input_embeddings().weight.float().std())

    @torch.no_grad()
    def word_pieces(self, word: str) -> Tensor:
        """Embeddings [pieces, width] of the pieces that the tokenizer cuts a word into, without BOS and EOS."""
        ids = self.tokenizer(word, add_special_tokens=False, verbose=False, return_tensors="pt").input_ids[0]
        return self.text_model.get_input_embeddings()(ids.to(self.text_model.device))

    def template(self, num_words: int) -> Tensor:
        """Token ids [1, positions] of a prompt with `num_words` placeholders: BOS, placeholders, EOS, padding.

        Raises:
            ValueError: the words do not fit between BOS and EOS.
        """
        if num_words > self.max_length - 2:
            raise ValueError(f"{num_words} pseudo-words do not fit: this text encoder has {self.max_length} positions, two for BOS and EOS")
        start, end, pad = self.tokenizer.bos_token_id, self.tokenizer.eos_token_id, self.tokenizer.pad_token_id
        ids = [start] * (1 + num_words) + [end]  # BOS as placeholder: it is never taken for EOS when the encoder looks for it
        return torch.tensor([ids + [pad] * (self.max_length - len(ids))], device=self.text_model.device)

    def forward(self, words: Tensor) -> EncodedText:
        """Encode word embeddings [batch, words, width]; gradients reach them, the encoder itself stays frozen."""
        ids = self.template(words.shape[1]).expand(words.shape[0], -1)

        def exchange(_module: nn.Module, _inputs: tuple[Tensor, ...], embedded: Tensor) -> Tensor:
            return torch.cat([embedded[:, :1], words.to(embedded.dtype), embedded[:, 1 + words.shape[1] :]], dim=1)

        hook = self.text_model.get_input_embeddings().register_forward_hook(exchange)
        try:
            return self._encode(ids)
        finally:
            hook.remove()

    @torch.no_grad()
    def encode_prompts(self, prompts: list[str]) -> EncodedText:
        """Encode ordinary text, cut to the encoder's positions; `""` is the unconditional prompt."""
        ids = self.tokenizer(prompts, padding="max_length", max_length=self.max_length, truncation=True, return_tensors="pt").input_ids
        whole = self._encode(filled_up(ids).to(self.text_model.device))
        return EncodedText(whole.sequence[: len(prompts)], None if whole.projected is None else whole.projected[: len(prompts)])

    def _encode(self, ids: Tensor) -> EncodedText:
        output = self.text_model(input_ids=ids)
        return EncodedText(output.last_hidden_state, None if self.projection is None else self.projection(output.pooler_output))
