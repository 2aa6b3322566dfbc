"""Lets clip-retrieval tokenise with the model's own tokenizer: it always takes OpenAI's, which fits OpenAI's vocabulary alone."""

from pathlib import Path
from types import SimpleNamespace


def use_own_tokenizer(model: Path) -> None:
    """From here on, a CLIP opened as `hf_clip:...` reads texts by the `tokenizer.json` in this folder.

    Raises:
        FileNotFoundError: there is none.
    """
    import torch
    from all_clip import hf_clip
    from transformers import PreTrainedTokenizerFast

    file = model / "tokenizer.json"
    if not file.is_file():
        raise FileNotFoundError(f"{file} does not exist: give the folder of a CLIP model saved with its tokenizer")
    settings = {"pad_token": "<|endoftext|>", "model_max_length": 77}
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file), **settings)

    def tokenize(texts: str | list[str], truncate: bool = True) -> "torch.Tensor":
        listed = [texts] if isinstance(texts, str) else list(texts)
        return tokenizer(listed, padding="max_length", truncation=truncate, return_tensors="pt")["input_ids"]

    hf_clip.clip = SimpleNamespace(tokenize=tokenize)
