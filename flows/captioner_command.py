"""`coemogen captioner`: a captioner's server in the foreground, until Ctrl-C or SIGTERM."""

import logging
import signal
import sys
from pathlib import Path

from rich.console import Console
from rich.logging import RichHandler
from rich.markup import escape

from coemogen_core.captioning.server.own_server import OwnServerError, serve
from coemogen_core.captioning.server.own_server import logger as own_server_logger
from coemogen_core.captioning.server.own_server_settings import OwnServerSettings
from coemogen_core.captioning.server.vllm_checkpoint import cache_folder


def run_captioner(settings: OwnServerSettings, log_file: Path | None, console: Console) -> None:
    """Serve until told to stop; one line on standard output says where, once the server is healthy.

    Args:
        settings: what to serve, and how.
        log_file: takes what the server writes; None: a file of this port in the user's cache.
        console: takes everything else that is to be said.

    Raises:
        OSError: see `serve`.
        SystemExit: with 1, when the server did not start or was given up; the console has the reason.
    """
    own_server_logger.addHandler(RichHandler(console=console, show_level=False, show_path=False, log_time_format="[%X]"))
    own_server_logger.setLevel(logging.INFO)
    log_file = log_file or cache_folder() / "logs" / f"port-{settings.port}.log"
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with serve(settings, log_file) as server:
            print(f"{server.endpoint} serves {server.model}", flush=True)
            server.wait()
    except OwnServerError as error:
        console.print(f"[red]error:[/red] {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except KeyboardInterrupt:
        console.print("the captioner is stopped")
