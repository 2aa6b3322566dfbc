"""Variables that must stand before Prefect and the model libraries are imported: telemetry is off, logs stay readable."""

import os
import tempfile
from pathlib import Path

NOTHING_PHONES_HOME = {"DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
STARTUP_TIMEOUT = "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"
READABLE = {
    STARTUP_TIMEOUT: "120",
    "TRANSFORMERS_VERBOSITY": "error",
    "TOKENIZERS_PARALLELISM": "false",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "HF_HUB_VERBOSITY": "error",  # it warns of every request that is tried again
}
THIS_MACHINE = ("localhost", "127.0.0.1", "::1")
QUIET = {"PREFECT_LOGGING_LEVEL": "CRITICAL", "PREFECT_LOGGING_SERVER_LEVEL": "CRITICAL"}
"""The temporary server that a command starts logs tracebacks of what was under way when it is ended, which is no error of the run."""


def prepare_environment(*, quiet: bool = True) -> None:
    """Set what the user has not set.

    Args:
        quiet: Prefect logs next to nothing, since the command line says itself what went wrong, in one line. Services inherit this, and the
            logs of their runs are what an operator reads: not for them.
    """
    if quiet:
        os.environ.update(usable_prefect_home())
    for name, value in (NOTHING_PHONES_HOME | READABLE | (QUIET if quiet else {})).items():
        os.environ.setdefault(name, value)
    os.environ.update(loopback_without_proxy())


def usable_prefect_home() -> dict[str, str]:
    """Where Prefect may keep what it knows of runs, when its own folder cannot be written, as in many containers: a temporary one.

    Raises:
        ValueError: `PREFECT_HOME` was set to a folder that cannot be written, or somebody else has the temporary one.
    """
    given = os.environ.get("PREFECT_HOME")
    home = Path(given or "~/.prefect").expanduser()
    if _can_be_written(home):
        return {}
    if given:
        raise ValueError(f"PREFECT_HOME={given} cannot be written: set it to a folder that can, or unset it")
    temporary = Path(tempfile.gettempdir()) / f"coemogen-prefect-{os.getuid()}"
    temporary.mkdir(mode=0o700, exist_ok=True)
    if temporary.is_symlink() or temporary.stat().st_uid != os.getuid():
        raise ValueError(f"{home} cannot be written, and {temporary} is somebody else's: set PREFECT_HOME to a folder that can be written")
    return {"PREFECT_HOME": str(temporary)}


def _can_be_written(folder: Path) -> bool:
    """Whether a folder can be written, or made and then written."""
    there = next(each for each in (folder, *folder.parents) if os.access(each, os.F_OK))  # which says no where it may not look
    return there.is_dir() and os.access(there, os.W_OK | os.X_OK)


def loopback_without_proxy() -> dict[str, str]:
    """`no_proxy` as it stands, with this machine's own addresses: Prefect's server and captioners listen there, and no proxy finds them.

    Both spellings, for some programs read one and some the other. None where no proxy is named at all.
    """
    names = {name.lower() for name, value in os.environ.items() if value}
    if not names & {"http_proxy", "https_proxy", "all_proxy"}:
        return {}
    given = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    hosts = [host.strip() for host in given.split(",") if host.strip()]
    wanted = given if "*" in hosts else ",".join([*hosts, *(host for host in THIS_MACHINE if host not in hosts)])
    return {"no_proxy": wanted, "NO_PROXY": wanted}
