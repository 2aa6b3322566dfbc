"""The key of an OpenAI-compatible server: a setting names the environment variable that holds it, so that it stands in no record."""

import os

NO_KEY = "none"  # the openai client wants a key, and a server that has none does not look


def read_key(variable: str) -> str:
    """The key in an environment variable, without the line end that secrets from files have; `none` where it is unset or empty.

    Raises:
        ValueError: no HTTP header can carry it. The message does not show it.
    """
    key = os.environ.get(variable, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise ValueError(f"the key in ${variable} has characters that no HTTP header can carry: set it to the key alone")
    return key or NO_KEY


def key_in_words(variable: str) -> str:
    """How a message names the key: by its variable, and whether that is set."""
    return f"the key in ${variable}{'' if os.environ.get(variable, '').strip() else ' (which is not set)'}"
