"""Models in the older format of TransformerLens: from a hub, with the logits of their weights."""

import json

import pytest
import torch
from hub_server import hub_server
from huggingface_hub import constants
from small_hugging_face_models import save_tokenizer

from induction_heads.data.tokens import bos_token, not_drawn
from induction_heads.interp.ablation import ablation_scores, head_hooks
from induction_heads.models.checkpoint_files import UnknownModel
from induction_heads.models.loading import load_model

SIZES = {"d_model": 16, "n_layers": 2, "d_mlp": 64, "d_head": 4, "n_heads": 4, "n_ctx": 32}
D_VOCAB = 40
CONFIG = SIZES | {
    "d_vocab": D_VOCAB,
    "act_fn": "solu_ln",
    "attn_only": True,
    "normalization": "LN",
    "tokenizer_name": "some/tokenizer",
    "seed": 42,
    "lr": 1e-3,
}


def random_weights() -> dict[str, torch.Tensor]:
    """Weights with the names and shapes of such a file, biases and buffers included."""
    m, h, d, c = (SIZES[name] for name in ("d_model", "n_heads", "d_head", "n_ctx"))
    shapes = {
        "embed.W_E": (D_VOCAB, m),
        "pos_embed.W_pos": (c, m),
        "ln_final.w": (m,),
        "ln_final.b": (m,),
        "unembed.W_U": (m, D_VOCAB),
    }
    for layer in range(SIZES["n_layers"]):
        shapes |= {f"blocks.{layer}.ln1.{part}": (m,) for part in "wb"}
        shapes |= {f"blocks.{layer}.attn.W_{part}": (h, m, d) for part in "QKV"}
        shapes |= {f"blocks.{layer}.attn.b_{part}": (h, d) for part in "QKV"}
        shapes |= {f"blocks.{layer}.attn.W_O": (h, d, m), f"blocks.{layer}.attn.b_O": (m,)}
    generator = torch.Generator().manual_seed(0)
    weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    for layer in range(SIZES["n_layers"]):
        weights[f"blocks.{layer}.attn.mask"] = torch.ones(c, c).tril().bool()
        weights[f"blocks.{layer}.attn.IGNORE"] = torch.tensor(-1e5)
    return weights


def plain_logits(w: dict[str, torch.Tensor], tokens: torch.Tensor) -> torch.Tensor:
    """The forward pass, written out."""

    def norm(x: torch.Tensor, name: str) -> torch.Tensor:
        return torch.nn.functional.layer_norm(x, x.shape[-1:], w[f"{name}.w"], w[f"{name}.b"])

    residual = w["embed.W_E"][tokens] + w["pos_embed.W_pos"][: tokens.shape[1]]
    for layer in range(SIZES["n_layers"]):
        at, x = f"blocks.{layer}.attn", norm(residual, f"blocks.{layer}.ln1")
        q, k, v = (
            torch.einsum("bpm,hmd->bhpd", x, w[f"{at}.W_{n}"]) + w[f"{at}.b_{n}"][:, None]
            for n in "QKV"
        )
        scores = q @ k.mT / SIZES["d_head"] ** 0.5
        later = torch.ones_like(scores).triu(1).bool()
        z = scores.masked_fill(later, -torch.inf).softmax(dim=-1) @ v
        residual = residual + torch.einsum("bhpd,hdm->bpm", z, w[f"{at}.W_O"]) + w[f"{at}.b_O"]
    return norm(residual, "ln_final") @ w["unembed.W_U"]


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with such a model under its full name, and its tokenizer beside it."""
    monkeypatch.setenv("no_proxy", "*")
    for name in ("model", "tokenizer"):
        (tmp_path / name).mkdir()
    (tmp_path / "model/config.json").write_text(json.dumps(CONFIG))
    torch.save(random_weights(), tmp_path / "model/model_final.pth")
    save_tokenizer(tmp_path / "tokenizer", puts_bos=False)
    with hub_server() as served:
        monkeypatch.setattr(constants, "ENDPOINT", served.url)
        place = "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", served.url + place)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        served.add("NeelNanda/Attn_Only_2L512W_C4_Code", tmp_path / "model")
        served.add("some/tokenizer", tmp_path / "tokenizer")
        yield served, tmp_path / "model"


def test_it_loads_by_its_short_name_with_the_logits_of_its_weights(hub):
    model = load_model("attn-only-2l", progress=False)
    tokens = torch.arange(24).view(2, 12)
    torch.testing.assert_close(
        model(tokens), plain_logits(random_weights(), tokens), atol=1e-4, rtol=1e-4
    )
    assert bos_token(model) == 1  # Its tokenizer has one, so it comes first.
    assert set(not_drawn(model)) == {1, *range(28, D_VOCAB)}


def test_each_head_costs_what_the_plain_loop_says(hub):
    model, tokens = load_model("attn-only-2l", progress=False), torch.arange(24).view(2, 12)
    clean = model(tokens, return_type="loss")
    scores = ablation_scores(model, tokens)
    for layer in range(2):
        for head in range(4):
            hooks = head_hooks([(layer, head)])
            rise = model.run_with_hooks(tokens, return_type="loss", fwd_hooks=hooks) - clean
            assert abs(scores[layer, head] - rise) < 1e-4


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"shortformer_pos": True}, "positions of the Shortformer"),
        ({"architecture": "mingpt"}, "the layout 'mingpt'"),
        ({"normalization": "RMS"}, "the normalization 'RMS'"),
        ({"n_heads": 8}, "Cannot read the weights"),
        ({"n_layers": 3}, "not complete"),
        ({"n_layers": 1}, "does not use"),
        ({"d_vocab": 41}, r"\[40, 16\].*\[41, 16\]|\[16, 40\]"),
        ({"d_head": None}, "does not state d_head"),
        ({"tokenizer_name": "some/other"}, "no public model of that name"),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(hub, changes: dict, says: str):
    (hub[1] / "config.json").write_text(json.dumps(CONFIG | changes))
    with pytest.raises(UnknownModel, match=says) as caught:
        load_model(str(hub[1]), progress=False)
    assert "\n" not in str(caught.value)
