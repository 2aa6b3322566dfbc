"""Every sentence the lab's tokenizers should write in whole words: captions, prompts, requests."""

from collections.abc import Iterator

from coemogen_core.captioning.prompt import load_prompt, prompt_ids
from coemogen_core.emotions import EMOTIONS
from coemogen_core.lab.scenes.captions import caption_of
from coemogen_core.lab.scenes.scene import Scene
from coemogen_core.lab.scenes.world import CONTENTS


def caption_corpus() -> Iterator[str]:
    """Captions of every content in every place, count and feeling, and the prompts of the baselines."""
    for content in CONTENTS.values():
        for place in content.places:
            for count in (1, 2, 3) if content.plural else (1,):
                for emotion in (None, *content.feelings):
                    for style in range(3):
                        yield caption_of(
                            Scene(content.noun, place, emotion, "emotional" if emotion else "neutral", count, emotion is not None, 0), style
                        )
    for emotion in EMOTIONS:
        yield from [f"an image of {emotion}, a photo that evokes {emotion}"] * 20


def request_corpus() -> Iterator[str]:
    """What the captioner reads and writes: captions, and every prompt with every emotion."""
    yield from caption_corpus()
    for prompt_id in prompt_ids():
        prompt = load_prompt(prompt_id)
        for emotion in EMOTIONS:
            yield f"USER: <image>\n{prompt.render(emotion)} ASSISTANT:"
