"""Circuits built by hand for chapter 6: ones that fail in known ways, and others that work."""

import math
from typing import Any

import torch
from torch import Tensor

from induction_heads.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig
from induction_heads.checks.exercise import Mistake


def only_layer(model: AttentionOnly, layer: int) -> AttentionOnly:
    """The same model with the heads of all other layers silent."""
    copy = AttentionOnly(model.config)
    copy.load_state_dict(model.state_dict())
    with torch.no_grad():
        for number, weights in enumerate(copy.layers):
            if number != layer:
                _attention(weights).W_O.zero_()
    return copy.requires_grad_(False)


def diagnosis(model: AttentionOnly, rows: Tensor, queries: list[int]) -> dict[str, Any]:
    """Facts that tell one failure from another. No answer is graded on them.

    Coarse on purpose, so that the same mistake made in other weights gives the same facts.
    """
    residual, previous, sharpest = model.embed(rows), [], 0.0
    place = torch.tensor(queries)
    for layer in model.layers:
        pattern = _attention(layer).pattern(residual)[:, :, queries]
        before = pattern[..., torch.arange(len(queries)), place - 1]
        previous.append(bool(before.mean(dim=(0, 2)).max() > 0.5))
        sharpest = pattern.max(dim=-1).values.mean(dim=(0, 2)).max().item()
        residual = residual + layer(residual)
    chosen = (residual @ model.W_U)[:, queries].argmax(dim=-1)
    return {
        "layers with a previous-token head": previous,
        "the last layer looks at few places": sharpest > 0.3,
        "predicts the current token": _mostly(chosen == rows[:, place]),
        "the largest logit is right": _mostly(chosen == rows[:, place + 1]),
    }


def _mostly(hits: Tensor) -> bool:
    return bool(hits.double().mean() > 0.8)


def _attention(layer: Any) -> AttentionLayer:
    assert isinstance(layer, AttentionLayer)
    return layer


def k_composed(
    *, mark: int = 1, reads: str = "previous", sharp: float = 30.0, scale: bool = True,
    loud: float = 10.0, order: tuple[int, int] = (0, 1), first: bool = True,
    sizes: tuple[int, int] | None = None,
):  # fmt: skip
    """`build_induction_circuit` with a previous-token head that feeds the keys of another head.

    `mark` is how far back the first head looks, `reads` the block that the second head's key reads,
    `order` their layers, `first` whether position 0 is lowered.
    """

    def answer(d_vocab: int, n_ctx: int) -> AttentionOnly:
        d_vocab, n_ctx = sizes or (d_vocab, n_ctx)
        d_head = d_vocab + n_ctx + 1
        n_coordinates = 3 * d_vocab + n_ctx
        config = AttentionOnlyConfig(2, 1, n_coordinates, d_head, d_vocab, n_ctx)
        model = AttentionOnly(config)
        widths = {"token": d_vocab, "previous": d_vocab, "prediction": d_vocab, "position": n_ctx}
        columns = torch.eye(n_coordinates).split(list(widths.values()), dim=1)
        blocks = dict(zip(widths, columns, strict=True))
        token, position = blocks["token"], blocks["position"]
        strength = sharp * (math.sqrt(d_head) if scale else 1.0)
        back = torch.ones(n_ctx - mark).diag(-mark)  # Row i points at i − mark.
        with torch.no_grad():
            for weight in model.parameters():
                weight.zero_()
            model.W_E.copy_(token.T)
            model.W_pos.copy_(position.T)
            model.W_U.copy_(loud * blocks["prediction"])
            one, two = (_attention(model.layers[layer]) for layer in order)
            one.W_Q[0, :, :n_ctx] = strength * position @ back
            one.W_K[0, :, :n_ctx] = position
            one.W_V[0, :, :d_vocab] = token
            one.W_O[0, :d_vocab] = blocks["previous"].T
            two.W_Q[0, :, :d_vocab] = strength * token
            two.W_K[0, :, :d_vocab] = blocks[reads]
            if first:
                two.W_Q[0, :, -1] = 2 * strength * token.sum(dim=1)
                two.W_K[0, :, -1] = -position[:, 0]
            two.W_V[0, :, :d_vocab] = token
            two.W_O[0, :d_vocab] = blocks["prediction"].T
        return model

    return answer


def _fixed_distance(d_vocab: int, n_ctx: int) -> AttentionOnly:
    """Layer 1 looks four tokens back whatever they are: right for blocks of five."""
    model = k_composed()(d_vocab, n_ctx)
    position = torch.eye(model.config.d_model)[:, -n_ctx:]
    two = _attention(model.layers[1])
    with torch.no_grad():
        two.W_Q.zero_()
        two.W_K.zero_()
        two.W_Q[0, :, :n_ctx] = 500 * position @ torch.ones(n_ctx - 4).diag(-4)
        two.W_K[0, :, :n_ctx] = position
    return model


def _one_fixed_order(d_vocab: int, n_ctx: int) -> AttentionOnly:
    """No attention at all: W_E W_U sends each token to the next id."""
    model = AttentionOnly(AttentionOnlyConfig(2, 1, d_vocab, 1, d_vocab, n_ctx))
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E.copy_(torch.eye(d_vocab))
        model.W_U.copy_(20 * torch.eye(d_vocab).roll(1, dims=1))
    return model


def _with_waves(d_vocab: int, n_ctx: int) -> AttentionOnly:
    """K-composition with sines for positions and two heads a layer, one of which is idle.

    A query turned back by one step matches the position before it. Random orthogonal directions
    hold the tokens. Position 0 is told by a coordinate of its own.
    """
    n_waves = 14
    frequencies = math.pi * 0.75 ** torch.arange(n_waves)
    angles = torch.arange(n_ctx)[:, None] * frequencies
    waves = torch.cat([angles.cos(), angles.sin(), torch.zeros(n_ctx, 1)], dim=1)
    waves[0, -1] = 1
    back = torch.zeros(2 * n_waves, 2 * n_waves)  # A rotation by one step for each frequency.
    for wave, step in enumerate(frequencies.tolist()):
        pair = [wave, n_waves + wave]
        turn = [[math.cos(step), -math.sin(step)], [math.sin(step), math.cos(step)]]
        back[torch.tensor(pair)[:, None], torch.tensor(pair)] = torch.tensor(turn)
    width = 2 * n_waves + 1
    d_model, d_head = width + 3 * d_vocab, max(2 * n_waves, d_vocab + 1)
    generator = torch.Generator().manual_seed(0)
    turned = torch.linalg.qr(torch.randn(d_model, d_model, generator=generator)).Q
    place, token, mark, said = turned.split([width, d_vocab, d_vocab, d_vocab], dim=1)
    model = AttentionOnly(AttentionOnlyConfig(2, 2, d_model, d_head, d_vocab, n_ctx))
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E.copy_(token.T)
        model.W_pos.copy_(waves @ place.T)
        model.W_U.copy_(12 * said)
        one, two = (_attention(layer) for layer in model.layers)
        one.W_Q[1, :, : 2 * n_waves] = 40 * math.sqrt(d_head) * place[:, :-1] @ back
        one.W_K[1, :, : 2 * n_waves] = place[:, :-1]
        one.W_V[1, :, :d_vocab] = token
        one.W_O[1, :d_vocab] = mark.T
        two.W_Q[0, :, :d_vocab] = 25 * math.sqrt(d_head) * token
        two.W_K[0, :, :d_vocab] = mark
        two.W_Q[0, :, d_vocab] = 50 * math.sqrt(d_head) * token.sum(dim=1)
        two.W_K[0, :, d_vocab] = -place[:, -1]
        two.W_V[0, :, :d_vocab] = token
        two.W_O[0, :d_vocab] = said.T
    return model


def _with_a_pointer(d_vocab: int, n_ctx: int) -> AttentionOnly:
    """Q-composition: layer 0 finds where the token stood before, layer 1 looks one further."""
    d_model, d_head = 2 * d_vocab + 2 * n_ctx, d_vocab + n_ctx
    model = AttentionOnly(AttentionOnlyConfig(2, 1, d_model, d_head, d_vocab, n_ctx))
    token, said, place, found = torch.eye(d_model).split([d_vocab, d_vocab, n_ctx, n_ctx], dim=1)
    sharp = 60 * math.sqrt(d_head)
    with torch.no_grad():
        for weight in model.parameters():
            weight.zero_()
        model.W_E.copy_(token.T)
        model.W_pos.copy_(place.T)
        model.W_U.copy_(10 * said)
        one, two = (_attention(layer) for layer in model.layers)
        # Each token matches itself too, so the own position is lowered by twice as much.
        one.W_Q[0] = sharp * torch.cat([token, -2 * place], dim=1)
        one.W_K[0] = torch.cat([token, place], dim=1)
        one.W_V[0, :, :n_ctx] = place
        one.W_O[0, :n_ctx] = found.T
        two.W_Q[0, :, :n_ctx] = sharp * found @ torch.ones(n_ctx - 1).diag(1)
        two.W_K[0, :, :n_ctx] = place
        two.W_V[0, :, :d_vocab] = token
        two.W_O[0, :d_vocab] = said.T
    return model


BUILD_MISTAKES = (
    Mistake("the second head looks for its own token, not for the mark",
            k_composed(reads="token", first=False),
            "It ends at the earlier copy itself. Which block of a key says what stood before?"),
    Mistake("the mark is the token itself", k_composed(mark=0, first=False),
            "What does your layer-0 head look at from position 5: position 5, or position 4?"),
    Mistake("the two heads are in the wrong order", k_composed(order=(1, 0)),
            "When the second head reads the marks, have they been written yet?"),
    Mistake("position 0 competes with the right key", k_composed(first=False),
            "Nearly all is right. What does the first position of a row carry as its mark, when "
            "there is nothing before it?"),
    Mistake("attention is spread out", k_composed(sharp=1.0, scale=False),
            "Print a row of each pattern. By what are scores divided, and how large must a match "
            "be for a softmax to choose it?"),
    Mistake("the right logit is the largest, and too small", k_composed(loud=1.0),
            "The order of the logits is right. What is the softmax of one 1 among so many zeros?"),
    Mistake("a fixed distance back", _fixed_distance,
            "Right for one length of block. How does your head find the key when the length "
            "changes?"),
    Mistake("a table of tokens instead of attention", _one_fixed_order,
            "Each block comes in a random order. Can weights know it before they see the row?"),
    Mistake("sizes of its own choice", k_composed(sizes=(32, 64)),
            "`d_vocab` and `n_ctx` are arguments. Where does your config take them from?"),
)  # fmt: skip
BUILD_ALSO_RIGHT = (_with_waves, _with_a_pointer, k_composed())
