"""What a run ran on: versions of the libraries and the largest memory of the process."""

import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version

LIBRARIES = ("coemogen", "torch", "diffusers", "transformers", "prefect", "polars", "pyarrow", "numpy", "scipy")


def library_versions() -> dict[str, str]:
    """Versions of Python and of the libraries that can change a number; those that are not installed are left out."""
    found = {"python": platform.python_version()}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def peak_memory_mib() -> float:
    """Largest resident memory so far, MiB: of this process, or of its largest finished child where that was more."""
    unit = 1 if sys.platform == "darwin" else 1024  # macOS counts bytes, Linux KiB
    own, children = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(own, children) * unit / 2**20
