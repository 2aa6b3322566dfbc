"""What a server's log says about its end, short enough for an error message."""

import re
from pathlib import Path

TAIL_LINES = 20
LONGEST_LINE = 400
READ_AT_MOST = 2**20  # bytes from the end of the log
# The last line of a traceback, as Python prints it or after vLLM's "(Worker pid=1) ERROR 01-31 10:00:00 [file.py:1] ".
_EXCEPTION = re.compile(r"^(?:\([^)]*\) ERROR [^\[]*\[[^\]]*\] )?((?:\w+\.)*\w*(?:Error|Exception)\b.*)")


def end_of_log(log_file: Path, start: int) -> str:
    """The first exception and the last lines.

    The processes of a server report one after the other, the one where it began first, so that its exception is often far above the end.

    Args:
        log_file: the log.
        start: byte at which this server's own log begins.
    """
    with log_file.open("rb") as log:
        log.seek(max(start, log_file.stat().st_size - READ_AT_MOST))
        lines = [line[:LONGEST_LINE] for line in log.read().decode(errors="replace").splitlines()]
    exception = next((found.group(1) for line in lines if (found := _EXCEPTION.match(line))), None)
    cause = f"its first error: {exception}\n" if exception else ""
    remedy = "`make captioner` builds the environment anew\n" if any("No module named" in line for line in lines) else ""
    return f"{cause}{remedy}the end of its log {log_file}:\n" + "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])
