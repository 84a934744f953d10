"""Models by name: load and save them, and hand them to TransformerLens."""

import json
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save
from torch import Tensor

from induction_heads.files import write_atomically
from induction_heads.models.any_order import ANY_ORDER, hand_built_any_order
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig
from induction_heads.models.checkpoint_files import (
    UnknownModel,
    adapter_sentence,
    read_config,
    reason,
    require_finite_weights,
    require_matching_weights,
    require_possible_sizes,
    require_token,
    require_whole_files,
)
from induction_heads.models.folders import (
    ZOO,
    find_checkpoint,
    local_folder,
    snapshot_steps,
)
from induction_heads.models.hand_built import hand_built
from induction_heads.models.hub import damaged_files
from induction_heads.models.hugging_face import DTYPES, is_hugging_face, load_hugging_face
from induction_heads.models.interface import HookedModel, Model
from induction_heads.models.tokenizers import known_ranks, load_tokenizer
from induction_heads.models.transformer_lens_format import (
    is_transformer_lens,
    load_transformer_lens,
)

if TYPE_CHECKING:
    from transformer_lens.model_bridge import TransformerBridge


def zoo_names() -> list[str]:
    """The names of the trained attention-only models that ship with the package."""
    folders = sorted(path.parent for path in ZOO.glob("*/config.json"))
    return [folder.name for folder in folders if not is_hugging_face(folder)]


def zoo_folder(name: str) -> Path:
    """The folder of a model of the zoo."""
    return ZOO / name


def save_model(model: AttentionOnly, folder: Path | str) -> None:
    """Write `config.json` and `model.safetensors` (half precision) to `folder`.

    Raises ValueError for a model with smeared keys, which a config cannot describe.
    """
    _must_be_plain(model, "saved")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(asdict(model.config), indent=2) + "\n")
    weights = {name: weight.half() for name, weight in model.state_dict().items()}
    write_atomically(folder / "model.safetensors", save(weights))


def save_snapshots(snapshots: dict[int, dict[str, Tensor]], folder: Path | str) -> None:
    """Write the weights at each training step to `snapshots.safetensors` (half precision)."""
    tensors = {
        f"{step:06d}/{name}": weight.half()
        for step, weights in snapshots.items()
        for name, weight in weights.items()
    }
    write_atomically(Path(folder) / "snapshots.safetensors", save(tensors))


def _attention_only_folder(name: str) -> Path:
    """The folder of an attention-only model on this machine. Raises UnknownModel for another."""
    folder = local_folder(name)
    if folder is None or not (folder / "model.safetensors").is_file():
        raise UnknownModel(
            f"No attention-only model called {name!r}: it is neither in the zoo "
            f"({', '.join(zoo_names())}) nor a folder with config.json and model.safetensors."
        )
    if is_hugging_face(folder):
        raise UnknownModel(f"{name!r} is not attention-only. Load it with load_model.")
    return folder


def _with_weights(folder: Path, weights: dict[str, Tensor]) -> AttentionOnly:
    """The model of the folder's config with these weights. Raises UnknownModel if they differ."""
    config = _config(folder)
    require_token(config.bos_token, config.d_vocab, folder / "config.json")
    require_possible_sizes(folder, asdict(config))
    model = AttentionOnly(config)
    expected = {name: weight.shape for name, weight in model.state_dict().items()}
    misshapen = [
        (name, weights[name].shape, shape)
        for name, shape in expected.items()
        if name in weights and weights[name].shape != shape
    ]
    missing, unused = expected.keys() - weights.keys(), weights.keys() - expected.keys()
    require_matching_weights(folder, missing, unused, misshapen)
    for stored, weight in weights.items():
        if weight.dtype not in (torch.float64, torch.float32, torch.float16, torch.bfloat16):
            kind = str(weight.dtype).removeprefix("torch.")
            raise UnknownModel(f"{stored} in {folder} is stored as {kind}, not as full numbers.")
    require_finite_weights(folder, weights.items())
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    model.token_ranks = known_ranks(folder, model.config.d_vocab)
    return model.requires_grad_(False).eval()


def _config(folder: Path) -> AttentionOnlyConfig:
    """The config of a model of this course. Raises UnknownModel for that of another kind."""
    settings = read_config(folder)
    known = {field.name: field for field in fields(AttentionOnlyConfig)}
    required = [name for name, field in known.items() if field.default is MISSING]
    absent = [name for name in required if name not in settings]
    unknown = [name for name in settings if name not in known]
    if "architectures" in settings:
        raise UnknownModel(
            f'{folder / "config.json"} names an architecture but no "model_type", such as "gpt2". '
            "Add the one of its architecture."
        )
    if absent or unknown:
        odd = f"{absent[0]} is missing" if absent else f"{unknown[0]} is not one of its settings"
        raise UnknownModel(
            f'{folder / "config.json"} has no "model_type", as in Hugging Face format, and is not '
            f"a config of this course: {odd}."
        )
    return AttentionOnlyConfig(**settings)


def load_attention_only(name: str) -> AttentionOnly:
    """A zoo model, or one saved by `save_model`, as the plain PyTorch module (float32, no grad).

    Raises UnknownModel, with the names in the zoo.

    >>> load_attention_only("toy-2l").config.n_layers
    2
    """
    return _own_model(_attention_only_folder(name), None)


def load_snapshots(name: str) -> dict[int, AttentionOnly]:
    """Training step → the model as it was after that many updates, in order of the steps.

    Raises UnknownModel if there is no such model, or none of its snapshots were stored.
    """
    folder = _attention_only_folder(name)
    if not snapshot_steps(folder):
        raise UnknownModel(f"{name!r} has no snapshots. Models that do: {', '.join(zoo_names())}.")
    weights = _snapshot_weights(folder)
    return {step: _with_weights(folder, weights[step]) for step in weights}


def _snapshot_weights(folder: Path, only: int | None = None) -> dict[int, dict[str, Tensor]]:
    """Step → weights of the snapshots in a folder: of all, or of one step only."""
    grouped: dict[int, dict[str, Tensor]] = {}
    with safe_open(folder / "snapshots.safetensors", framework="pt") as file:
        for key in sorted(file.keys()):
            step, weight_name = key.split("/", 1)
            if only in (None, int(step)):
                grouped.setdefault(int(step), {})[weight_name] = file.get_tensor(key)
    return grouped


def to_transformer_lens(model: AttentionOnly, tokenizer: Any | None = None) -> "TransformerBridge":
    """The same model as a TransformerLens 4 `TransformerBridge`, with equal logits.

    TransformerLens gives every projection a bias; ours are zero. In float32 the two differ by
    rounding: less than 1e-5 on the toys, less than 1e-4 on the text models, whose logits reach 20.
    Raises ValueError for a model with smeared keys, which TransformerLens does not have.

    >>> model = hand_built("induction", d_vocab=8, n_ctx=16)
    >>> _, cache = to_transformer_lens(model).run_with_cache(torch.tensor([[5, 2, 7, 5]]))
    >>> cache["blocks.1.attn.hook_pattern"].shape  # [batch head query key]
    torch.Size([1, 2, 4, 4])
    """
    _must_be_plain(model, "converted to TransformerLens")
    from transformer_lens.config import TransformerBridgeConfig
    from transformer_lens.model_bridge import TransformerBridge

    config = model.config
    bridge = TransformerBridge.boot_native(  # pyright: ignore[reportAttributeAccessIssue]
        TransformerBridgeConfig(
            d_model=config.d_model,
            d_head=config.d_head,
            n_layers=config.n_layers,
            n_ctx=config.n_ctx,
            n_heads=config.n_heads,
            d_vocab=config.d_vocab,
            attn_only=True,
            normalization_type=config.normalization,
            init_weights=False,
            tokenizer_prepends_bos=config.bos_token is not None,
        ),
        tokenizer=tokenizer,
    )
    weights = dict(bridge.original_model.named_parameters())
    with torch.no_grad():
        for name, weight in weights.items():
            weight.copy_(_native_weight(model, name.replace("._original_component", "")))
    bridge.cfg.bos_token = config.bos_token
    bridge.cfg.token_ranks = model.token_ranks
    return bridge.requires_grad_(False).eval()


def as_hooked(model: Model) -> HookedModel:
    """The model itself if it has hooks, or an `AttentionOnly` converted to TransformerLens."""
    return to_transformer_lens(model) if isinstance(model, AttentionOnly) else model


def from_transformer_lens(bridge: "TransformerBridge") -> AttentionOnly:
    """The plain module of a `TransformerBridge` that `to_transformer_lens` or `load_model` made.

    Raises ValueError for a bridge that computes anything else, such as one with MLPs or biases.
    """
    cfg, source = bridge.cfg, bridge.original_model
    kind = type(source).__name__
    if not (kind == "NativeModel" and cfg.attn_only and cfg.normalization_type in (None, "LN")):
        raise ValueError(
            f"Got a TransformerBridge around a {kind} (attn_only={cfg.attn_only}, "
            f"normalization_type={cfg.normalization_type!r}), but expected an attention-only one "
            f"of this course. These load as one: {', '.join(zoo_names())}."
        )
    sizes = {name: getattr(cfg, name) for name in ("n_layers", "n_heads", "d_model", "d_head")}
    model = AttentionOnly(
        AttentionOnlyConfig(
            **sizes,
            d_vocab=cfg.d_vocab,
            n_ctx=cfg.n_ctx,
            normalization=cfg.normalization_type,
            bos_token=getattr(cfg, "bos_token", None),
        )
    )
    names = {name.replace("._original_component", ""): name for name in source.state_dict()}
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(_weight_of_bridge(bridge, name, names))
        rows = torch.arange(2 * min(cfg.n_ctx, cfg.d_vocab)).view(2, -1) % cfg.d_vocab
        apart = (bridge(rows.to(bridge.W_E.device)).cpu() - model(rows)).abs().max().item()
    model.token_ranks = getattr(cfg, "token_ranks", None)
    if not apart < 1e-2:
        raise ValueError(
            f"The logits of this TransformerBridge differ by {apart:.2g} from those of its weights "
            "without biases. Pass one without biases, hooks and changed attention scores."
        )
    return model.requires_grad_(False).eval()


def _weight_of_bridge(bridge: "TransformerBridge", name: str, names: dict[str, str]) -> Tensor:
    """The weight of a bridge that `AttentionOnly` calls `name`."""
    if "norm" in name:
        part = name.replace("norm.", "ln_out." if name.startswith("norm.") else "ln1.")
        return bridge.original_model.state_dict()[names[part]]
    if not name.startswith("layers."):
        return getattr(bridge, name)
    _, layer, weight = name.split(".")
    return getattr(bridge, weight)[int(layer)]


def _must_be_plain(model: AttentionOnly, done: str) -> None:
    """Raise ValueError for a model that computes more than its config and weights' names say."""
    if type(model) is not AttentionOnly:
        raise ValueError(
            f"A model of type {type(model).__name__} cannot be {done}: TransformerLens and the "
            "model folders know plain keys only, and its α would be lost. Score and ablate it as "
            "it is, with head_scores and ablation_scores."
        )


def _native_weight(model: AttentionOnly, name: str) -> Tensor:
    """The weight that TransformerLens calls `name`, in its layout ([out, in] for projections)."""
    top = {"tok_embed.weight": model.W_E, "pos.weight": model.W_pos, "head.weight": model.W_U.T}
    if name in top:
        return top[name]
    if name.startswith("ln_out."):
        return model.norm.get_parameter(name.removeprefix("ln_out."))
    _, index, part, rest = name.split(".", 3)
    layer = model.layers[int(index)]
    if part == "ln1":
        return layer.get_parameter(f"norm.{rest}")
    projection, kind = rest.split(".")
    if kind == "bias":
        return torch.zeros(1)
    weight = layer.get_parameter(f"W_{projection.upper()}")
    return weight.flatten(0, 1).T if projection == "o" else weight.mT.flatten(0, 1)


def load_model(
    name: str, *, device: str = "cpu", dtype: str | None = None, progress: bool | None = None
) -> "TransformerBridge":
    """A model as a TransformerLens `TransformerBridge`, ready for `run_with_cache`.

    `name` is one of these, tried in this order:

    - `hand-built:KIND`, see `KINDS`, or `hand-built:any_order`;
    - a zoo name (`toy-2l`);
    - a folder on this machine, written by `save_model` or in Hugging Face format;
    - a name on the Hugging Face hub (`gpt2`, `EleutherAI/pythia-70m`) or the short name that
      TransformerLens gives to one there (`pythia-70m`, `attn-only-2l`), fetched unless it is in
      the cache.

    `NAME@STEP` is the checkpoint nearest to that training step: a stored snapshot, a subfolder
    `checkpoint-STEP`, or on the hub the revision of that name (`EleutherAI/pythia-70m@step3000`).
    `dtype` is float32 unless another one of `DTYPES` is given. Long loads show a progress bar, and
    short ones too if `progress` is True. Raises `UnknownModel`, which gives the
    reason in one sentence.

    >>> model = load_model("hand-built:induction")
    >>> model(torch.tensor([[5, 2, 7, 5]])).shape  # [batch pos d_vocab]
    torch.Size([1, 4, 32])
    >>> model.cfg.n_layers, model.cfg.n_heads
    (2, 2)
    """
    return _load(name, True, device, dtype, progress)


def load_lightest(
    name: str, *, device: str = "cpu", dtype: str | None = None, progress: bool | None = None
) -> "AttentionOnly | TransformerBridge":
    """The model that `load_model` loads, as an `AttentionOnly` where it is one.

    Scores and ablations take both. Without TransformerLens a toy is ready seconds earlier.
    """
    return _load(name, False, device, dtype, progress)


def _load(name: str, bridge: bool, device: str, dtype: str | None, progress: bool | None) -> Any:
    if dtype is not None and dtype not in DTYPES:
        raise UnknownModel(f"dtype={dtype!r} is not known. Choose one of: {', '.join(DTYPES)}.")
    tokenizer = None
    if name.startswith("hand-built:"):
        kind = name.removeprefix("hand-built:")
        model = hand_built_any_order() if kind == ANY_ORDER else hand_built(kind)
    else:
        folder, step = find_checkpoint(name, progress=progress)
        if not (folder / "config.json").is_file():
            if (folder / "adapter_config.json").is_file():
                raise UnknownModel(adapter_sentence(folder))
            raise UnknownModel(
                f"{name!r} on the model hub has no config.json, so it is not a model."
            )
        read_config(folder)  # Refused here, before it is asked what kind of model it is.
        if is_hugging_face(folder):
            try:
                return load_hugging_face(folder, device=device, dtype=dtype, progress=progress)
            except UnknownModel as error:
                raise _damage_in_cache(folder) or error from error
        if is_transformer_lens(folder):
            number = "float32" if dtype in (None, "auto") else dtype
            return load_transformer_lens(folder, device=device, dtype=number, progress=progress)
        model = _own_model(folder, step)
        tokenizer = load_tokenizer(folder) if bridge else None
    ready: Any = to_transformer_lens(model, tokenizer) if bridge else model
    number = "float32" if dtype in (None, "auto") else dtype  # Folders of this course hold float16.
    if number == "float32" and device == "cpu":
        return ready
    return ready.to(device=device, dtype=getattr(torch, number))


def _damage_in_cache(folder: Path) -> UnknownModel | None:
    """The error for a folder in the cache of the hub that holds a damaged file, or None."""
    for path in damaged_files(folder):
        return UnknownModel(
            f"{path.name} in the local cache of the model hub is damaged. Remove {path.resolve()} "
            "and load the model again: the file is then fetched anew."
        )
    return None


def _own_model(folder: Path, step: int | None) -> AttentionOnly:
    """The attention-only model in a folder. Raises UnknownModel if it cannot be read."""
    require_whole_files(folder)
    try:
        if step is None:
            return _with_weights(folder, load_file(folder / "model.safetensors"))
        return _with_weights(folder, _snapshot_weights(folder, step)[step])
    except FileNotFoundError as error:
        raise UnknownModel(f"{folder} has a config but no model.safetensors.") from error
    except UnknownModel:
        raise
    except (OSError, ValueError, TypeError, RuntimeError, SafetensorError) as error:
        raise UnknownModel(f"Cannot read the model in {folder}: {reason(error)}") from error
