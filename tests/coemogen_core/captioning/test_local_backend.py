import dataclasses
import hashlib
import shutil
import threading
import time

import pytest
import torch
from transformers import AutoProcessor

from coemogen_core.captioning.backend import CaptionAnswer, CaptionRequest, Chunk
from coemogen_core.captioning.local_backend import LocalBackend, SeededDraw, load_captioner
from coemogen_core.captioning.prompt import load_prompt
from coemogen_core.captioning.recipe import CaptionRecipe, LocalSettings
from coemogen_core.data.decode import decode_image
from coemogen_core.emotions import EMOTIONS
from tests.coemogen_core.captioning.corpus import jpeg

PROMPT = load_prompt("prior-short.v1")


def requests(count: int) -> list[CaptionRequest]:
    # Prompts of different lengths, so that there is padding.
    texts = [f"{PROMPT.render(EMOTIONS[index % 8])}{' dark sea' * (index % 3)}" for index in range(count)]
    return [CaptionRequest(hashlib.sha256(jpeg(index)).hexdigest(), jpeg(index), "", text, index) for index, text in enumerate(texts)]


def ask(folder, chunks: list[list[CaptionRequest]], batch_size: int = 50, **recipe) -> list[list[CaptionAnswer]]:
    made = CaptionRecipe(model=str(folder), max_new_tokens=8, **recipe)
    backend = LocalBackend(made, LocalSettings(batch_size=batch_size, device="cpu"))
    numbered = (Chunk(sequence, chunk) for sequence, chunk in enumerate(chunks))
    return [answers for _, answers in backend.answer(numbered, lambda _: None)]


def told(answers: list[CaptionAnswer]) -> list[tuple]:
    return [(answer.image_id, answer.text, answer.prompt_tokens, answer.completion_tokens, answer.finish_reason) for answer in answers]


def test_a_batch_says_the_same_as_one_picture_at_a_time(llava):
    asked = requests(9)
    single = ask(llava, [asked], batch_size=1)[0]
    assert told(ask(llava, [asked], batch_size=9)[0]) == told(single)
    assert told(ask(llava, [asked], batch_size=4)[0]) == told(single)
    assert len({answer.text for answer in single}) > 1
    assert len({answer.prompt_tokens for answer in single}) > 1


def test_a_sampled_answer_depends_on_its_own_seed(llava):
    asked = requests(9)
    single = ask(llava, [asked], batch_size=1, temperature=1.0)[0]
    assert told(ask(llava, [asked], batch_size=4, temperature=1.0)[0]) == told(single)
    other = [dataclasses.replace(request, seed=request.seed + 100) for request in asked]
    assert told(ask(llava, [other], batch_size=4, temperature=1.0)[0]) != told(single)


def test_draws_have_the_probabilities_of_the_temperature():
    scores = torch.tensor([[2.0, 1.0, 0.0, -float("inf")]]).expand(20_000, -1)
    drawn = SeededDraw(range(20_000), 2.0)(torch.empty(0), scores).argmax(dim=1)
    shares = torch.bincount(drawn, minlength=4) / 20_000
    assert torch.allclose(shares, (scores[0] / 2.0).softmax(dim=0), atol=0.015)


def test_asked_at_is_when_the_batch_was_begun(llava):
    before = time.time()
    unreadable = CaptionRequest("broken", b"no picture", "", "Describe it.", 0)
    answers = ask(llava, [[*requests(2), unreadable]])[0]
    after = time.time()
    assert all(before <= answer.asked_at <= after - (answer.latency_s or 0.0) for answer in answers)


def test_the_answer_is_that_of_the_plain_library(llava):
    request = requests(1)[0]
    answer = ask(llava, [[request]])[0][0]
    captioner = load_captioner(str(llava), None, "float32", "cpu")
    processor = AutoProcessor.from_pretrained(llava, backend="pil")
    message = {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": request.text_after}]}
    text = processor.apply_chat_template([message], add_generation_prompt=True)
    inputs = processor(text=text, images=decode_image(request.image), return_tensors="pt")
    with torch.inference_mode():
        tokens = captioner.model.generate(**inputs, max_new_tokens=8, do_sample=False)[0, inputs["input_ids"].shape[1] :]
    assert answer.text == processor.decode(tokens, skip_special_tokens=True)
    assert answer.prompt_tokens == inputs["input_ids"].shape[1]


def test_a_picture_that_cannot_be_decoded_fails_alone(llava):
    good = requests(3)
    broken = CaptionRequest("f" * 64, b"no picture", "", "Describe.", 0)
    answers = ask(llava, [[good[0], broken, good[1]], [broken], [good[2]]])
    assert [[answer.error is None for answer in chunk] for chunk in answers] == [[True, False, True], [False], [True]]
    assert answers[0][1].error.startswith("unreadable image: not an image")
    assert answers[0][1].image_id == broken.image_id


def test_an_answer_ends_at_the_end_token_or_at_the_limit(llava):
    backend = LocalBackend(CaptionRecipe(model=str(llava)), LocalSettings(device="cpu"))
    assert backend._answer_length(torch.tensor([7, 8, 2, 0, 0])) == (3, True)
    assert backend._answer_length(torch.tensor([7, 8, 9])) == (3, False)
    answer = ask(llava, [requests(1)])[0][0]
    assert (answer.completion_tokens, answer.finish_reason) == (8, "length")


def test_a_models_own_sampling_defaults_do_not_count(llava):
    asked = requests(3)
    before = told(ask(llava, [asked])[0])
    shipped = load_captioner(str(llava), None, "float32", "cpu").model.generation_config
    try:
        shipped.update(do_sample=True, temperature=9.0, top_k=3, repetition_penalty=5.0)
        assert told(ask(llava, [asked])[0]) == before
    finally:
        shipped.update(do_sample=False, temperature=None, top_k=None, repetition_penalty=None)


def test_sampling_follows_the_seeds_and_leaves_the_global_generator_alone(llava):
    asked = requests(4)
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = told(ask(llava, [asked], temperature=1.5)[0])
    assert torch.equal(torch.rand(1), expected)
    assert told(ask(llava, [asked], temperature=1.5)[0]) == first
    reseeded = [CaptionRequest(r.image_id, r.image, r.text_before, r.text_after, r.seed + 99) for r in asked]
    assert told(ask(llava, [reseeded], temperature=1.5)[0]) != first


def test_several_threads_share_one_model_and_get_the_same_answers(llava):
    asked = requests(6)
    expected = told(ask(llava, [asked])[0])
    found: list[list[tuple]] = []
    threads = [threading.Thread(target=lambda: found.append(told(ask(llava, [asked])[0]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 3
    assert load_captioner(str(llava), None, "float32", "cpu") is load_captioner(str(llava), None, "float32", "cpu")


def test_a_model_without_a_chat_template_is_refused(llava, tmp_path):
    folder = shutil.copytree(llava, tmp_path / "untuned")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(ValueError, match="has no chat template: use a model that was tuned for chat"):
        load_captioner(str(folder), None, "float32", "cpu")
