"""Find a model by its name: in the zoo, in a folder on this machine, or on the hub."""

from pathlib import Path

from safetensors import SafetensorError, safe_open

from induction_heads.models.checkpoint_files import UnknownModel, adapter_sentence
from induction_heads.models.hub import hub_folder
from induction_heads.near_names import suggestion

ZOO = Path(__file__).parents[1] / "zoo"


def local_folder(name: str) -> Path | None:
    """The folder of a zoo name or of a path on this machine; None for what may be on the hub.

    Raises UnknownModel for a path that is not a folder with a config.json.
    """
    folder = _folder_with_config(name)
    if folder is not None:
        return folder
    place = Path(name).expanduser()
    if (place / "adapter_config.json").is_file():
        raise UnknownModel(adapter_sentence(place))
    if place.is_dir():
        raise UnknownModel(
            f"The folder {name!r} is not a model: it has no config.json. {_inside(place, name)}"
        )
    if place.is_file():
        raise UnknownModel(
            f"{name!r} is a file. Pass the folder of the model, with a config.json in it."
        )
    if name.startswith(("/", ".", "~")) or "\\" in name:
        raise UnknownModel(f"There is no folder {name!r}. {_names_that_work(name)}")
    return None


def find_checkpoint(name: str, *, progress: bool | None = None) -> tuple[Path, int | None]:
    """The folder of a model, and for `NAME@STEP` the step of its snapshot.

    A name that is neither in the zoo nor a folder is looked up on the hub, where STEP is a
    revision. Raises UnknownModel.
    """
    base, step = _base_and_step(name)
    folder = _local_or_run(base, step)
    if folder is None:
        try:
            return hub_folder(_name_on_hub(base), revision=step, progress=progress), None
        except UnknownModel as error:
            if "/" in base:  # A name that only the hub could have.
                raise
            raise UnknownModel(f"{error} {_names_that_work(name)}") from error
    return _checkpoint_in(folder, name, step) if step is not None else (folder, None)


def _name_on_hub(name: str) -> str:
    """The name on the hub for a short name of TransformerLens, such as `pythia-70m`."""
    if "/" in name:
        return name
    from transformer_lens.tools.model_registry.registry_io import resolve_model_alias

    return resolve_model_alias(name) or name


def _local_or_run(base: str, step: str | None) -> Path | None:
    """`local_folder`, or for `NAME@STEP` also the folder of a run that holds checkpoints alone."""
    place = Path(base).expanduser()
    if step is not None and _subfolders(place) and _folder_with_config(base) is None:
        return place
    return local_folder(base)


def checkpoint_name(name: str) -> str:
    """`name` with the step of the checkpoint that is loaded: the nearest to the requested one.

    Raises UnknownModel if the model is on this machine and has no checkpoints.
    """
    base, step = _base_and_step(name)
    folder = _local_or_run(base, step)
    if step is None or folder is None:
        return name
    checkpoint, snapshot = _checkpoint_in(folder, name, step)
    return f"{base}@{_last_number(checkpoint) if snapshot is None else snapshot}"


def _checkpoint_in(folder: Path, name: str, step: str) -> tuple[Path, int | None]:
    """The snapshot or subfolder nearest to a step: its folder, and the step of a snapshot."""
    base = name.rpartition("@")[0]
    if not step.isdecimal():
        raise UnknownModel(f"{name!r}: after the @ comes a training step, such as {base}@100.")
    snapshots = snapshot_steps(folder)
    subfolders = _subfolders(folder)
    steps = [*snapshots, *subfolders]
    if not steps:
        raise UnknownModel(f"{base!r} has no snapshots, so it cannot be loaded at step {step}.")
    nearest = min(steps, key=lambda stored: abs(stored - int(step)))
    return (folder, nearest) if nearest in snapshots else (subfolders[nearest], None)


def _subfolders(folder: Path) -> dict[int, Path]:
    """Step → the folder `checkpoint-STEP` of a model, as training code writes them."""
    found = [path for path in folder.glob("checkpoint-*") if (path / "config.json").is_file()]
    return {int(_last_number(path)): path for path in found if _last_number(path).isdecimal()}


def _inside(folder: Path, name: str) -> str:
    """What to do about a folder that is not a model: name a checkpoint in it, or another model."""
    steps = sorted(_subfolders(folder))
    if steps:
        names = ", ".join(f"{folder}@{step}" for step in steps[-4:])
        return f"It holds checkpoints: {names}."
    return _names_that_work(name)


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


def zoo_folders() -> dict[str, Path]:
    """Name → folder of every model that ships with the package, also of those in subfolders."""
    folders = sorted(path.parent for path in ZOO.rglob("config.json"))
    return {folder.relative_to(ZOO).as_posix(): folder for folder in folders}


def _names_that_work(name: str) -> str:
    """The zoo names closest to `name`, or all of them."""
    base = name.partition("@")[0].removeprefix("./").rstrip("/")
    return suggestion(base, zoo_folders(), known="Names that work here:")
