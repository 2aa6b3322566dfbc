"""The `coemogen` command: the flows without a Prefect server, what runs no flow, and the services. A file is a group of commands, whole.

What takes long to import is imported inside of the commands, so that `coemogen --help` answers at once.
"""

from flows.command_line import corpora, datasets, demo, evaluation, models, services, upkeep
from flows.command_line.front import app
from flows.command_line.front import run as main

__all__ = ["app", "corpora", "datasets", "demo", "evaluation", "main", "models", "services", "upkeep"]
