"""Folders of models on the Hugging Face hub: fetched once, then found in the local cache."""

import hashlib
import logging
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from induction_heads.data.token_ranks import COUNTS_FILE
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.library_messages import without_progress_bars

FILES = [
    "config.json",
    "adapter_config.json",  # An adapter is refused by name, not as a folder without a config.
    "tokenizer*",
    "vocab.json",
    "merges.txt",
    "added_tokens.json",
    "special_tokens_map.json",
    "*.model",  # SentencePiece under any name.
    COUNTS_FILE,
]
SAFETENSORS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
PICKLED = [
    "pytorch_model.bin",
    "pytorch_model-*.bin",
    "pytorch_model.bin.index.json",
    "*final.pth",  # The older format of TransformerLens.
]


def hub_folder(name: str, *, revision: str | None = None, progress: bool | None = None) -> Path:
    """The local folder of a model on the hub: its config, its tokenizer and its weights.

    Files that are not in the cache are fetched, with a progress bar unless `progress` is False, and
    compared with the checksums of the hub. `revision` is a branch, a tag, such as a training step,
    or a commit. Raises UnknownModel within seconds if the hub cannot be reached and the cache does
    not have it, if the hub refuses it, or if a file arrives damaged.
    """
    from huggingface_hub import constants, snapshot_download

    offline = constants.HF_HUB_OFFLINE or not reachable(constants.ENDPOINT)

    def fetched(patterns: list[str]) -> Path:
        return Path(
            snapshot_download(
                name,
                revision=revision,
                allow_patterns=FILES + patterns,
                ignore_patterns=["*/*"],
                local_files_only=offline,
            )
        )

    logger = logging.getLogger("huggingface_hub")
    level_before, start = logger.level, time.time()
    logger.setLevel(logging.ERROR)
    try:
        with without_progress_bars(progress is not False), _hub_bars(progress is not False):
            folder = fetched(SAFETENSORS)
            if not any(folder.glob("model*.safetensors")):
                folder = fetched(PICKLED)
    except Exception as error:  # Network, permission, name, disk: the hub client has dozens.
        raise UnknownModel(f"Cannot load {name!r}: {_why(error, offline)}.") from error
    finally:
        logger.setLevel(level_before)
    _require_fetched_whole(name, folder, start)
    return folder


def commit_of(folder: Path) -> str | None:
    """The commit that a snapshot in the hub cache is of; None for any other folder."""
    in_cache = folder.parent.name == "snapshots"
    return folder.name if in_cache and re.fullmatch("[0-9a-f]{40}", folder.name) else None


@contextmanager
def _hub_bars(bars: bool) -> Iterator[None]:
    """Inside, the hub client draws progress bars or none, whatever was set before."""
    from huggingface_hub import utils

    before = utils.are_progress_bars_disabled()
    (utils.enable_progress_bars if bars else utils.disable_progress_bars)()
    try:
        yield
    finally:
        (utils.disable_progress_bars if before else utils.enable_progress_bars)()


def _require_fetched_whole(name: str, folder: Path, start: float) -> None:
    """Raise UnknownModel if files fetched since `start` are not what the hub stated; remove them.

    The hub client compares sizes, and content only where it comes from the newer storage of the
    hub.
    """
    damaged = [*damaged_files(folder, since=start - 2)]  # File systems round their times.
    for path in damaged:
        path.resolve().unlink()
        path.unlink()
    if damaged:
        names = " and ".join(path.name for path in damaged)
        raise UnknownModel(
            f"Cannot load {name!r}: {names} arrived damaged (with another checksum than the model "
            "hub states), so nothing of it was kept. Try again."
        )


def damaged_files(folder: Path, since: float = 0.0) -> Iterator[Path]:
    """The files of a snapshot in the hub cache whose content is not what their name states.

    Snapshots hold links to files that are named for their content: by SHA-256, or as git does it
    by SHA-1. Files older than `since` are not read. Where a file system has no links, or a folder
    is not in the hub cache, nothing is known and nothing is returned.
    """
    for path in sorted(folder.glob("*")):  # The folder is absent where no file was asked for.
        blob = path.resolve()
        if blob.parent.name != "blobs" or not blob.is_file() or blob.stat().st_mtime < since:
            continue
        if (
            re.fullmatch("[0-9a-f]{40}|[0-9a-f]{64}", blob.name)
            and _content_name(blob) != blob.name
        ):
            yield path


def _content_name(blob: Path) -> str:
    """The name that the content of a file in the hub cache has."""
    if len(blob.name) == 64:
        with blob.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    content = blob.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


def _why(error: Exception, offline: bool) -> str:
    """Why the hub did not give a model, as the end of a sentence."""
    kind = type(error).__name__
    if kind == "HFValidationError":
        return "it is neither a folder nor a name that the model hub could have"
    if kind == "IncompleteSnapshotError":
        why = _why_by_status(error) or "the model hub cannot be reached"
        return f"only a part of it is in the local cache, and {why}"
    if offline:
        return "it is not in the local cache, and the model hub cannot be reached"
    reasons = {
        "GatedRepoError": "on the model hub it is only for accounts that accepted its license. "
        "Accept it there, then log in with `hf auth login`",
        "RepositoryNotFoundError": _NO_MODEL,
        "RevisionNotFoundError": "the model hub has this model, but not this revision of it",
    }
    if kind in reasons:
        return reasons[kind]
    if isinstance(error, OSError) and error.errno and error.strerror:
        return f"its files cannot be written to the local cache ({error.strerror})"
    if "Consistency check failed" in str(error):
        return "the model hub sent a file that is too short. Try again"
    return _why_by_status(error) or f"the model hub did not give it ({kind})"


_NO_MODEL = "the model hub has no public model of that name"


def _why_by_status(error: BaseException | None) -> str | None:
    """What the status of the hub's answer says, which is often in the cause of an error."""
    while error is not None:
        response = getattr(error, "response", None)
        if response is not None:
            break
        error = error.__cause__
    else:
        return None
    status = response.status_code
    if "Invalid credentials" in response.headers.get("X-Error-Message", ""):
        return "the model hub does not know your access token. Log in again with `hf auth login`"
    if status in (401, 404):  # The hub does not tell a private model from none.
        return _NO_MODEL
    if status == 403:
        return "the model hub does not allow your account to read it"
    if status == 429:
        return "the model hub had too many requests from here. Try again in a few minutes"
    return f"the model hub answered with an error ({status}). Try again later"


def reachable(endpoint: str, seconds: float = 3.0) -> bool:
    """Whether the endpoint answers at all, through a proxy where one is set.

    The hub client itself retries for half a minute before it reports that there is no network.
    The thread is for name servers that never answer, which no connection timeout covers.
    """
    answers: list[bool] = []

    def ask() -> None:
        request = urllib.request.Request(endpoint, method="HEAD")
        try:
            urllib.request.urlopen(request, timeout=seconds).close()
        except urllib.error.HTTPError:
            answers.append(True)  # An answer, even if it is an error.
        except (OSError, ValueError):
            answers.append(False)
        else:
            answers.append(True)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(2 * seconds)
    return answers == [True]
