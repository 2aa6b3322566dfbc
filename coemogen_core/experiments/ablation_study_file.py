"""`ablations.json`: the finished runs of a workspace's ablation study, for whoever shows them."""

from coemogen_core.storage.workspace import Workspace
from schemas.ablations import Ablations

FILE = "ablations.json"


def write_ablations(workspace: Workspace, ablations: Ablations) -> None:
    """Put a study in the place of the one that stood there, whole or not at all."""
    workspace.write_json(ablations.model_dump(mode="json"), FILE)


def read_ablations(workspace: Workspace) -> Ablations | None:
    """The workspace's study, None when there is none.

    Raises:
        ValueError: the file is not what `write_ablations` writes.
    """
    if not workspace.exists(FILE):
        return None
    try:
        return Ablations.model_validate_json(workspace.read_file(FILE))
    except ValueError as error:
        raise ValueError(f"{workspace.path(FILE)} holds no ablation study: remove it, or run the study again ({error})") from error
