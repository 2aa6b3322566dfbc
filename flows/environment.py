"""Variables that must stand before Prefect and the model libraries are imported: telemetry is off, logs stay readable."""

import os

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
    for name, value in (NOTHING_PHONES_HOME | READABLE | (QUIET if quiet else {})).items():
        os.environ.setdefault(name, value)
    os.environ.update(loopback_without_proxy())


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
