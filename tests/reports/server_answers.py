"""What chat servers and the gateways before them answer, as seen in life."""

import json
from collections.abc import Callable

from werkzeug import Response

from tests.coemogen_core.captioning.stub_server import MODEL, refusal

SENTENCE = "A dog runs along a sunny beach."


def answer(choice: dict, **besides) -> Response:
    body = {"id": "1", "object": "chat.completion", "created": 0, "model": MODEL, "choices": [choice], **besides}
    return Response(json.dumps(body), 200, content_type="application/json")


def said(text: object, reason: object = "stop", tokens: int | None = None, **message) -> Response:
    usage = {} if tokens is None else {"usage": {"prompt_tokens": 900, "completion_tokens": tokens}}
    return answer({"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": reason}, **usage)


def error_in_200(error: object) -> Response:
    return Response(json.dumps({"error": error}), 200, content_type="application/json")


DRESSED: dict[str, Callable[[str], Response]] = {
    "plain": lambda sentence: said(sentence),
    "no finish reason": lambda sentence: said(sentence, None),
    "TGI's finish reason": lambda sentence: said(sentence, "eos_token"),
    "reasoning": lambda sentence: said(f"<think>\nA dog. A beach.\n</think>\n\n{sentence}"),
    "reasoning whose beginning the template wrote": lambda sentence: said(f"A dog. A beach.\n</think>\n\n{sentence}"),
    "Magistral's reasoning": lambda sentence: said(f"[THINK]a dog[/THINK]{sentence}"),
    "Kimi-VL's reasoning": lambda sentence: said(f"◁think▷a dog◁/think▷{sentence}"),
    "gpt-oss's channels": lambda sentence: said(
        f"<|channel|>analysis<|message|>a dog<|end|><|start|>assistant<|channel|>final<|message|>{sentence}<|return|>"
    ),
    "Cohere's reasoning": lambda sentence: said(
        f"<|START_THINKING|>A dog. A beach.<|END_THINKING|><|START_RESPONSE|>{sentence}<|END_RESPONSE|>"
    ),
    "Apertus's reasoning": lambda sentence: said(f"<|inner_prefix|>A dog. A beach.<|inner_suffix|>{sentence}"),
    "bars around the word": lambda sentence: said(f"<|think|>A dog. A beach.<|/think|>{sentence}"),
    "words in brackets": lambda sentence: said(f"[Start thinking]\nA dog. A beach.\n[End thinking]\n{sentence}"),
    "a part with thoughts": lambda sentence: said([{"type": "reasoning", "text": "the dog is there"}, {"type": "text", "text": sentence}]),
    "an error that is none beside it": lambda sentence: answer(
        {"index": 0, "message": {"role": "assistant", "content": sentence}, "finish_reason": "stop"},
        error={"code": None, "message": None},
        code=200,
    ),
    "Cohere's finish reason": lambda sentence: said(sentence, "COMPLETE"),
    "not a number beside it": lambda sentence: Response(
        json.dumps({"choices": [{"message": {"content": sentence}, "logprobs": float("nan")}]}), 200
    ),
    "a byte order mark": lambda sentence: Response(
        b"\xef\xbb\xbf" + json.dumps({"choices": [{"message": {"content": sentence}}]}).encode(), 200
    ),
    "GLM's box": lambda sentence: said(f"<think></think><|begin_of_box|>{sentence}<|end_of_box|>"),
    "the end of a turn": lambda sentence: said(f"{sentence}<|im_end|>\n<|im_start|>user\nAnd now?"),
    "Llama's and Gemma's ends": lambda sentence: said(f"{sentence}<end_of_turn></s><|eot_id|>"),
    "the beginning of a turn": lambda sentence: said(f"<|im_start|>assistant\n{sentence}"),
    "answer tags": lambda sentence: said(f"<think>hm</think><answer>{sentence}</answer>"),
    "a Markdown label": lambda sentence: said(f"**Caption:** {sentence}"),
    "emphasis": lambda sentence: said(f"**{sentence}**"),
    "a heading": lambda sentence: said(f"### Caption\n\n{sentence}"),
    "a heading in bold": lambda sentence: said(f"**Image Caption**\n*{sentence}*"),
    "a plain label": lambda sentence: said(f'Caption: "{sentence}"'),
    "a fence": lambda sentence: said(f"```\n{sentence}\n```"),
    "gpt-oss's channels without their marks": lambda sentence: said(f"analysisWe see a dog. It runs. Good.assistantfinal{sentence}"),
    "gpt-oss's last channel alone": lambda sentence: said(f"final{sentence}"),
    "marks escaped for HTML": lambda sentence: said(f"&lt;think&gt;A dog. A beach.&lt;/think&gt;\n{sentence}"),
    "reasoning in words": lambda sentence: said(f"Thought: There is a dog. It runs.\nCaption: {sentence}"),
    "reasoning in bold words": lambda sentence: said(f"**Reasoning:** A dog runs. It is sunny.\n\n**Final caption:** {sentence}"),
    "Ollama's reasoning": lambda sentence: said(f"Thinking...\nA dog. A beach.\n...done thinking.\n\n{sentence}"),
    "Granite's reasoning": lambda sentence: said(f"Here is my thought process: A dog. A beach.\nHere is my response: {sentence}"),
    "LLaVA's role": lambda sentence: said(f"ASSISTANT: {sentence}"),
    "LLaVA's whole turn": lambda sentence: said(f"USER: \nDescribe it. One sentence. ASSISTANT: {sentence}</s"),
    "Llama's role": lambda sentence: said(f"assistant\n\n{sentence}"),
    "Gemma's role": lambda sentence: said(f"model\n{sentence}"),
    "Alpaca's role": lambda sentence: said(f"### Assistant: {sentence}"),
    "Alpaca's heading": lambda sentence: said(f"### Response:\n{sentence}"),
    "the whole turn of Mistral": lambda sentence: said(f"[INST] Describe it. [/INST] {sentence}"),
    "a turn that nobody took": lambda sentence: said(f"{sentence}\nUser: And what is the mood?"),
    "TeX's box": lambda sentence: said(f"The answer is $\\boxed{{\\text{{{sentence}}}}}$"),
    "Mistral's and Pixtral's marks": lambda sentence: said(f"[IMG]{sentence}[EOS]"),
    "half a mark": lambda sentence: said(f"{sentence}<|im_end|"),
    "an object": lambda sentence: said(json.dumps({"caption": sentence})),
    "a fenced object": lambda sentence: said("```json\n" + json.dumps({"role": "assistant", "content": sentence}) + "\n```"),
    "a list": lambda sentence: said(json.dumps([sentence])),
    "characters without a shape": lambda sentence: said(f"\ufeff\u200b{sentence}\u0000"),
    "half a character": lambda sentence: said(f"{sentence} \ud83d"),
    "a number": lambda sentence: said(f"1. {sentence}"),
    "courtesies": lambda sentence: said(f"Sure! Here is a caption:\n\n{sentence}\n\nLet me know if you need another!"),
    "a longer name of the ending": lambda sentence: said(sentence, "FINISH_REASON_STOP"),
    "an error in a word that is none": lambda sentence: answer(
        {"index": 0, "message": {"role": "assistant", "content": sentence}, "finish_reason": "stop"}, error="none"
    ),
    "OpenRouter's comments": lambda sentence: Response(
        ": OPENROUTER PROCESSING\n\n: OPENROUTER PROCESSING\n\n" + json.dumps({"choices": [{"message": {"content": sentence}}]}), 200
    ),
    "Assistants' parts": lambda sentence: said([{"type": "text", "text": {"value": sentence}}]),
    "text parts": lambda sentence: said([{"type": "text", "text": sentence[:5]}, {"type": "text", "text": sentence[5:]}]),
    "Mistral's parts": lambda sentence: said(
        [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": sentence}]
    ),
}
"""A sentence, as it may come."""

NO_CAPTION = {
    "aborted": (said("A dog runs along", "abort"), "server: .*broken off .finish_reason abort"),
    "error": (said("A dog runs along", "error"), "server: .*broken off"),
    "filtered": (said("A dog runs along", "content_filter"), "refused: filtered by the server .finish_reason content_filter"),
    "a tool": (said("A dog runs along", "tool_calls"), "malformed: ended with finish_reason tool_calls"),
    "a function": (said("A dog runs along", "function_call"), "malformed: ended with finish_reason function_call"),
    "an object": (said("A dog runs along", {"type": "stop", "stop": "x"}), "malformed: finish_reason is "),
    "Gemini's filter": (said("A dog runs along", "recitation"), "refused: filtered"),
    "an unknown word": (said("A dog runs along", "whatever"), "malformed: ended with finish_reason whatever"),
    "a context that was full": (
        said("A dog runs along", "length", tokens=5),
        "malformed: the server broke it off after 5 of 64 tokens",
    ),
    "unfinished reasoning": (said("<think>A dog runs along", "length"), "malformed: reasoning without an end"),
    "reasoning beside nothing": (said(None, "stop", reasoning_content="A dog"), "malformed: nothing but reasoning"),
    "vLLM's reasoning beside nothing": (said("", "stop", reasoning="A dog"), "malformed: nothing but reasoning"),
    "a tag that nobody knows": (said(f"<scene>{SENTENCE}"), "malformed: a tag in the answer .*<scene>"),
    "marks that nobody knows": (
        said(f"<|my_thoughts|>A dog is there<|my_answer|>{SENTENCE}"),
        "malformed: a tag in the answer .*my_thoughts",
    ),
    "a lone angle": (said(f"{SENTENCE} <|"), "malformed: a tag in the answer"),
    "bare reasoning of gpt-oss": (said("analysisWe see a dog. It runs."), "malformed: reasoning without an end"),
    "words of reasoning alone": (said("Thought: There is a dog. It runs."), "malformed: reasoning without an answer"),
    "paragraphs": (said(f"There is a dog, and it runs.\n\n{SENTENCE}"), "malformed: more than one sentence"),
    "an object without a caption": (said('{"mood": "joy", "objects": 3}'), "malformed: JSON instead of text"),
    "several texts": (said(json.dumps([SENTENCE, SENTENCE])), "malformed: 2 texts instead of one"),
    "a broken character": (said("A dog in a caf\ufffd."), "malformed: broken characters"),
    "a flood": (said("a dog runs. " * 20_000), "malformed: an answer of 240,000 characters"),
    "a long story": (said("<answer>" * 2_000 + "a dog runs. " * 2_000), "malformed: a tag in the answer|malformed: a text of"),
    "a story": (said("a dog runs. " * 2_000), "malformed: a text of 23,999 characters"),
    "FastAPI's detail": (Response('{"detail": "Not Found"}', 200), "server: HTTP 200 with error 500: Not Found"),
    "a message alone": (Response('{"message": "model is loading"}', 200), "server: HTTP 200 with error 500: model is loading"),
    "Cloudflare's errors": (
        Response('{"success": false, "errors": [{"code": 7003, "message": "no route"}]}', 200),
        "server: HTTP 200 with error 500: no route",
    ),
    "an error in an error": (error_in_200({"error": {"message": "deep", "code": 400}}), "refused: HTTP 200 with error 400: deep"),
    "an event": (
        Response('event: error\ndata: {"error": {"message": "boom", "code": 500}}\n\n', 200),
        "server: HTTP 200 with error 500: boom",
    ),
    "Gemini's other filters": (said("A dog", "PROHIBITED_CONTENT"), "refused: filtered"),
    "an error without words": (Response('{"error": null, "message": "hi"}', 400), "refused: HTTP 400 hi"),
    "a picture that is not wanted": (refusal(403, "content policy: image flagged"), "refused: HTTP 403 content policy"),
    "no text": (said(""), "malformed: no text"),
    "a picture": (said([{"type": "image_url", "image_url": {"url": "data:"}}]), "server: .*content is not text"),
    "an error of 429": (error_in_200({"message": "slow down", "code": 429}), "server: HTTP 200 with error 429: slow down"),
    "an error of 400": (error_in_200({"message": "too many images", "code": 400}), "refused: HTTP 200 with error 400: too many images"),
    "an error in words": (error_in_200({"message": "overloaded", "type": "server_error"}), "server: HTTP 200 with error 500: overloaded"),
    "vLLM's older error": (
        Response(json.dumps({"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}), 200),
        "refused: HTTP 200 with error 400: too long",
    ),
    "an error that is a text": (error_in_200("upstream died"), "server: HTTP 200 with error 500: upstream died"),
    "a number in prose": (
        error_in_200("the picture has 402 rows"),
        "server: HTTP 200 with error 500: the picture has 402 rows",
    ),
    "a code in front": (error_in_200("Error code: 400 - bad picture"), "refused: HTTP 200 with error 400: Error code: 400 - bad picture"),
    "a stream": (
        Response('data: {"error": {"message": "the stream broke", "code": 502}}\n\n', 200),
        "server: HTTP 200 with error 502: the stream broke",
    ),
    "Gemini's list": (
        Response(json.dumps([{"error": {"code": 400, "message": "unsupported picture"}}]), 200),
        "refused: HTTP 200 with error 400: unsupported picture",
    ),
    "a code without an error": (
        Response(json.dumps({"code": 400, "msg": "no such picture"}), 200),
        "refused: HTTP 200 with error 400: no such picture",
    ),
    "a login page": (
        Response("<html><title>Please log in</title></html>", 200),
        "server: HTTP 200, and the answer is not JSON: Please log in",
    ),
    "two answers": (
        Response(json.dumps({"choices": [{"text": "a dog"}, {"text": "a cat"}]}), 200),
        "server: HTTP 200, and the answer is not a chat completion with one choice: .*a dog",
    ),
    "OpenRouter's": (
        error_in_200({"message": "Provider returned error", "code": 502, "metadata": {"raw": "CUDA out of memory"}}),
        "server: HTTP 200 with error 502: Provider returned error .CUDA out of memory",
    ),
    "in a choice": (
        answer(
            {
                "index": 0,
                "message": {"role": "assistant", "content": ""},
                "finish_reason": "error",
                "error": {"message": "bad", "code": 400},
            }
        ),
        "refused: HTTP 200 with error 400: bad",
    ),
}
"""Answers without a caption, and what the failure says."""

# As vLLM, nginx, LM Studio, OpenAI, a FastAPI gateway and LiteLLM write them.
SAME_FOR_EVERYBODY = {
    "context length": refusal(400, "This model's maximum context length is 512 tokens. However, you requested 1405 tokens."),
    "a proxy's limit": Response("<html><head><title>413 Request Entity Too Large</title></head></html>", 413, content_type="text/html"),
    "response_format": Response(
        json.dumps({"detail": [{"loc": ["body", "response_format"], "msg": "Input should be 'text'"}]}),
        422,
        content_type="application/json",
    ),
    "a wrong type": refusal(415, "Unsupported media type"),
    "no images": refusal(400, "At most 0 image(s) may be provided in one request"),
    "no vision": refusal(400, "'messages[0].content' must be a string: this model does not support images"),
}
WORDS = {
    "context length": "maximum context length is 512",
    "a proxy's limit": "413 Request Entity Too Large",
    "response_format": "Input should be 'text'",
    "a wrong type": "Unsupported media type",
    "no images": r"At most 0 image\(s\)",
    "no vision": "does not support images",
}
