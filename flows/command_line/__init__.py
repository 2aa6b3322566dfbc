"""The `coemogen` command: the flows without a Prefect server, and the demo. Every command is a thin front; a file is a group of them."""

from flows.command_line import captions, corpora, datasets, demo, evaluation, models, operations
from flows.command_line.front import app
from flows.command_line.front import run as main

__all__ = ["app", "captions", "corpora", "datasets", "demo", "evaluation", "main", "models", "operations"]
