"""Settings of the process that must stand before Prefect and the model libraries are imported: nothing phones home, logs stay readable."""

import os
from pathlib import Path


def prepare_environment(prefect_home: Path | None = None, *, quiet: bool = True) -> None:
    """Set what the user has not set.

    Args:
        prefect_home: folder of Prefect's own database for runs without a server; None keeps Prefect's default.
        quiet: Prefect logs next to nothing, since the command line says itself what went wrong, in one line. Services inherit this, and the
            logs of their runs are what an operator reads: not for them.
    """
    settings = {
        "DO_NOT_TRACK": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "120",
        "TRANSFORMERS_VERBOSITY": "error",
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    }
    if quiet:
        settings |= {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_LOGGING_SERVER_LEVEL": "ERROR"}
    if prefect_home is not None:
        settings["PREFECT_HOME"] = str(prefect_home.resolve())
    for name, value in settings.items():
        os.environ.setdefault(name, value)
