"""Where the model of a name is: in the zoo, in a folder on this machine, or on the hub."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from induction_heads.hub import hub_folder
from induction_heads.hugging_face import UnknownModel

ZOO = Path(__file__).parent / "zoo"


def local_folder(name: str) -> Path | None:
    """The folder of a zoo name or of a path on this machine; None for what may be on the hub.

    Raises UnknownModel for a path that is no folder with a config.json.
    """
    folder = _folder_with_config(name)
    if folder is not None:
        return folder
    if Path(name).expanduser().is_dir():
        raise UnknownModel(
            f"The folder {name!r} holds no model: it has no config.json. {_names_that_work()}"
        )
    if name.startswith(("/", ".", "~")) or "\\" in name:
        raise UnknownModel(f"There is no folder {name!r}. {_names_that_work()}")
    return None


def find_checkpoint(name: str, *, progress: bool | None = None) -> tuple[Path, int | None]:
    """Where a model is, and the step of its snapshot if one was asked for by `NAME@STEP`.

    A name that is neither in the zoo nor a folder is looked for on the hub, which has names for
    steps of its own. Raises UnknownModel.
    """
    base, step = _base_and_step(name)
    folder = local_folder(base)
    if folder is None:
        try:
            return hub_folder(base, revision=step, progress=progress), None
        except UnknownModel as error:
            raise UnknownModel(f"{error} {_names_that_work()}") from error
    return _checkpoint_in(folder, name, step) if step is not None else (folder, None)


def checkpoint_name(name: str) -> str:
    """`name` with the step of the checkpoint that is loaded: the nearest to the one asked for.

    Raises UnknownModel if that is on this machine and there is none.
    """
    base, step = _base_and_step(name)
    folder = local_folder(base)
    if step is None or folder is None:
        return name
    found, snapshot = _checkpoint_in(folder, name, step)
    return f"{base}@{_last_number(found) if snapshot is None else snapshot}"


def _checkpoint_in(folder: Path, name: str, step: str) -> tuple[Path, int | None]:
    """The snapshot or subfolder nearest to a step: its folder, and the step of a snapshot."""
    base = name.rpartition("@")[0]
    if not step.isdecimal():
        raise UnknownModel(f"{name!r}: after the @ comes a training step, such as {base}@100.")
    snapshots = snapshot_steps(folder)
    subfolders = {_last_number(path): path for path in folder.glob("checkpoint-*")}
    steps = [*snapshots, *(int(number) for number in subfolders if number.isdecimal())]
    if not steps:
        raise UnknownModel(f"{base!r} has no snapshots, so it cannot be loaded at step {step}.")
    nearest = min(steps, key=lambda stored: abs(stored - int(step)))
    return (folder, nearest) if nearest in snapshots else (subfolders[str(nearest)], None)


def snapshot_steps(folder: Path) -> set[int]:
    """The training steps of the snapshots that are stored with an attention-only model."""
    path = folder / "snapshots.safetensors"
    if not path.is_file():
        return set()
    try:
        with safe_open(path, framework="pt") as file:
            return {int(key.split("/", 1)[0]) for key in file.keys()}  # noqa: SIM118
    except (SafetensorError, ValueError) as error:
        raise UnknownModel(f"The snapshots in {folder} cannot be read.") from error


def _base_and_step(name: str) -> tuple[str, str | None]:
    """The name before the last @ and the step after it; a folder with an @ in its name is whole."""
    base, _, step = name.rpartition("@")
    if not base or _folder_with_config(name) is not None:
        return name, None
    return base, step


def _folder_with_config(name: str) -> Path | None:
    for folder in (ZOO / name, Path(name).expanduser()):
        if (folder / "config.json").is_file():
            return folder
    return None


def _last_number(folder: Path) -> str:
    return folder.name.rpartition("-")[2]


def _names_that_work() -> str:
    everything = sorted(path.parent.name for path in ZOO.glob("*/config.json"))
    return f"Names that work here: {', '.join(everything)}."
