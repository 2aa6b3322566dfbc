"""Ingests sources in a process of its own; tells what it took, wrote and started. Arguments: WORKSPACE {"name": ["layout", "root"]}."""

import json
import os
import resource
import sys
import traceback
from pathlib import Path

from coemogen_core.data.ingest import ingest_part
from coemogen_core.data.plan import plan_source
from coemogen_core.storage.workspace import Workspace

STARTING = ("subprocess.Popen", "os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.system", "pty.spawn", "ctypes.dlopen")
CHANGING = ("os.remove", "os.rename", "os.rmdir", "os.mkdir", "os.link", "os.symlink", "os.chmod", "os.truncate", "shutil.move")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def main() -> None:
    workspace, sources = sys.argv[1], json.loads(sys.argv[2])
    seen: list[str] = []

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if event in STARTING:
            seen.append(f"{event} {arguments!r}")
        elif event in CHANGING or (event == "open" and isinstance(arguments[2], int) and arguments[2] & WRITING):
            path = str(arguments[1] if event in ("os.rename", "os.link", "os.symlink") else arguments[0])
            if not f"{os.path.realpath(path)}/".startswith(f"{workspace}/"):
                seen.append(f"{event} {arguments!r}")

    sys.addaudithook(watch)
    for source, (layout, root) in sources.items():
        for part in plan_source(Workspace(workspace), source, layout, root):
            ingest_part(Workspace(workspace), source, part)
    print(json.dumps({"peak_mib": peak_mib(), "seen": list(seen)}))


def peak_mib() -> float:
    """Of this program alone: the operating system's other figure takes over what the process held before it ran this program."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    try:
        main()
    except BaseException:
        traceback.print_exc()
        raise SystemExit(1) from None
