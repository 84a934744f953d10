"""Folders of models on the Hugging Face hub: fetched once, then found in the local cache."""

import logging
import threading
import urllib.error
import urllib.request
from pathlib import Path

from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.library_messages import without_progress_bars

FILES = ["config.json", "tokenizer*", "vocab.json", "merges.txt", "special_tokens_map.json"]
SAFETENSORS = ["model.safetensors", "model-*.safetensors", "model.safetensors.index.json"]
PICKLED = ["pytorch_model.bin", "pytorch_model-*.bin", "pytorch_model.bin.index.json"]


def hub_folder(name: str, *, revision: str | None = None, progress: bool | None = None) -> Path:
    """The local folder of a model on the hub: its config, its tokenizer and its weights.

    Files that are not in the cache are fetched, with a progress bar unless `progress` is False.
    `revision` is a branch or tag, such as a training step. Raises UnknownModel within seconds if
    the hub cannot be reached and the cache does not have it, or if the hub refuses it.
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
    level_before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with without_progress_bars(progress is not False):
            folder = fetched(SAFETENSORS)
            has_weights = any(folder.glob("model*.safetensors"))
            return folder if has_weights else fetched(PICKLED)
    except Exception as error:  # Network, permission, name, disk: the hub client has dozens.
        raise UnknownModel(f"Cannot load {name!r}: {_why(error, offline)}.") from error
    finally:
        logger.setLevel(level_before)


def _why(error: Exception, offline: bool) -> str:
    """Why the hub did not give a model, as the end of a sentence."""
    kind = type(error).__name__
    reasons = {
        "HFValidationError": "it is neither a folder nor a name that the model hub could have",
        "GatedRepoError": "on the model hub it is only for accounts that accepted its license",
        "RepositoryNotFoundError": "the model hub has no public model of that name",
        "RevisionNotFoundError": "the model hub has this model, but not this revision of it",
    }
    if offline and kind != "HFValidationError":
        return "it is not in the local cache, and the model hub cannot be reached"
    return reasons.get(kind, f"the model hub did not give it ({kind})")


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
