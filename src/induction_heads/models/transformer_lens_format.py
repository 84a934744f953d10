"""Models in the older format of TransformerLens, such as `attn-only-2l` and its relatives.

Their `config.json` has the names of TransformerLens and no `model_type`, the weights are a file
`…final.pth` with one tensor per part of a head (`blocks.0.attn.W_Q`), and the tokenizer is that of
another model on the hub.
"""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from induction_heads.models.checkpoint_files import (
    UnknownModel,
    reason,
    require_finite_weights,
    require_matching_weights,
    require_token,
    require_whole_files,
)
from induction_heads.models.hub import hub_folder
from induction_heads.models.tokenizers import TOKENIZER_FILES, known_ranks, load_tokenizer

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge

_SIZES = ("d_model", "n_layers", "d_mlp", "d_head", "n_heads", "n_ctx", "d_vocab")


def is_transformer_lens(folder: Path) -> bool:
    """Whether the folder's `config.json` is of this format."""
    try:
        settings = json.loads((folder / "config.json").read_text(encoding="utf-8-sig"))
        return "model_type" not in settings and {"attn_only", "act_fn"} <= settings.keys()
    except (OSError, ValueError, TypeError, AttributeError):
        return False


def load_transformer_lens(
    folder: Path, *, device: str = "cpu", dtype: str = "float32", progress: bool | None = None
) -> "TransformerBridge":
    """The model in the folder as a native `TransformerBridge`, without gradients.

    Its tokenizer is fetched from the hub, unless it is in the folder. A BOS token, where the
    tokenizer has one, comes first in every row, as in the training of these models. Raises
    UnknownModel for weights that do not fit and for older layouts of them.
    """
    from transformer_lens.model_bridge import TransformerBridge

    require_whole_files(folder)
    config = _bridge_config(folder)
    weights = _weights(folder, config)
    tokenizer_folder = _tokenizer_folder(folder, progress)
    tokenizer = None if tokenizer_folder is None else load_tokenizer(tokenizer_folder)
    known = None if tokenizer is None else {*tokenizer.get_vocab().values()}
    bridge: Any = TransformerBridge.boot_native(  # pyright: ignore[reportAttributeAccessIssue]
        config, tokenizer=tokenizer
    )
    expected = {name: weight.shape for name, weight in bridge.state_dict().items()}
    if "unembed.bias" in expected:
        weights.setdefault("unembed.bias", torch.zeros(config.d_vocab))
    misshapen = [
        (name, weights[name].shape, shape)
        for name, shape in expected.items()
        if name in weights and weights[name].shape != shape
    ]
    missing, unused = expected.keys() - weights.keys(), weights.keys() - expected.keys()
    require_matching_weights(folder, missing, unused, misshapen)
    require_finite_weights(folder, weights.items())
    bridge.load_state_dict(weights, strict=True)
    bos = None if tokenizer is None else tokenizer.bos_token_id
    require_token(bos, config.d_vocab, f"the tokenizer in {tokenizer_folder}")
    bridge.cfg.bos_token = bos
    bridge.cfg.without_text = tuple({*range(config.d_vocab)} - known) if known else ()
    bridge.cfg.token_ranks = known_ranks(folder, config.d_vocab, tokenizer)
    return bridge.to(device=device, dtype=getattr(torch, dtype)).requires_grad_(False).eval()


def _bridge_config(folder: Path) -> Any:
    """The config in the words of today's TransformerLens. Raises UnknownModel for what it lacks."""
    from transformer_lens.config import TransformerBridgeConfig

    settings = json.loads((folder / "config.json").read_text(encoding="utf-8-sig"))
    absent = [name for name in _SIZES if not isinstance(settings.get(name), int)]
    if absent:
        raise UnknownModel(f"{folder / 'config.json'} does not state {absent[0]} as a number.")
    normalization = settings.get("normalization", settings.get("normalization_type"))
    layout = settings.get(
        "architecture",
        "neel-solu-old" if any(part.endswith("_old") for part in folder.parts) else "neel",
    )
    if layout != "neel" or settings.get("shortformer_pos"):
        what = "positions of the Shortformer" if layout == "neel" else f"the layout {layout!r}"
        raise UnknownModel(f"The model in {folder} has {what}, which is not supported.")
    if normalization not in (None, "LN", "LNPre"):
        raise UnknownModel(
            f"The model in {folder} has the normalization {normalization!r}, which is not "
            "supported here: use one with LN, LNPre or none."
        )
    return TransformerBridgeConfig(
        **{name: settings[name] for name in _SIZES},
        act_fn=settings["act_fn"],
        attn_only=settings["attn_only"],
        normalization_type=normalization,
        positional_embedding_type="standard",
        init_weights=False,
    )


def _weights(folder: Path, config: Any) -> dict[str, torch.Tensor]:
    """The weights by the names of a native bridge. Raises UnknownModel if they cannot be read."""
    from transformer_lens.utilities.tl_checkpoint_conversion import convert_tl_checkpoint

    files = sorted(folder.glob("*final.pth"))
    if not files:
        raise UnknownModel(f"{folder} has a config of TransformerLens but no file *final.pth.")
    try:
        stored = torch.load(files[0], map_location="cpu", weights_only=True)
        return convert_tl_checkpoint({name: w.float() for name, w in stored.items()}, config)
    except Exception as error:  # Unpickling and conversion each raise their own.
        raise UnknownModel(f"Cannot read the weights in {files[0]}: {reason(error)}") from error


def _tokenizer_folder(folder: Path, progress: bool | None) -> Path | None:
    """The folder of the tokenizer; None where the config names none."""
    if any((folder / name).is_file() for name in TOKENIZER_FILES):
        return folder
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8-sig"))
    name = settings.get("tokenizer_name")
    return hub_folder(name, progress=progress) if name else None
