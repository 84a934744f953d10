"""Known mistakes of `build_induction_circuit`, each with its hint: circuits that do not work."""

import math

import torch

from induction_heads.course.ch06_composition.inputs import attention_layer
from induction_heads.course.exercise import Mistake
from induction_heads.models.attention_only import AttentionOnly, AttentionOnlyConfig


def k_composed(
    *,
    mark: int = 1,
    reads: str = "previous",
    sharp: float = 30.0,
    scale: bool = True,
    loud: float = 10.0,
    order: tuple[int, int] = (0, 1),
    first: bool = True,
    sizes: tuple[int, int] | None = None,
):
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
            one, two = (attention_layer(model.layers[layer]) for layer in order)
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
    two = attention_layer(model.layers[1])
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


BUILD_MISTAKES = (
    Mistake(
        "the second head looks for its own token, not for the mark",
        k_composed(reads="token", first=False),
        "It looks at the earlier copy itself. Which block of a key says which token came before "
        "it?",
    ),
    Mistake(
        "the mark is the token itself",
        k_composed(mark=0, first=False),
        "What does your layer-0 head look at from position 5: position 5, or position 4?",
    ),
    Mistake(
        "the two heads are in the wrong order",
        k_composed(order=(1, 0)),
        "When the second head reads the marks, have they already been written?",
    ),
    Mistake(
        "position 0 competes with the right key",
        k_composed(first=False),
        "Nearly everything is right. What mark does the first position of a row carry, when "
        "nothing comes before it?",
    ),
    Mistake(
        "attention is spread out",
        k_composed(sharp=1.0, scale=False),
        "Print a row of each pattern. What are scores divided by, and how large must a match be "
        "for a softmax to choose it?",
    ),
    Mistake(
        "the right logit is the largest, but too small",
        k_composed(loud=1.0),
        "The order of the logits is right. What is the softmax of a single 1 among `d_vocab` − 1 "
        "zeros?",
    ),
    Mistake(
        "a fixed distance back",
        _fixed_distance,
        "That is right for one block length. How does your head find the key when the length "
        "changes?",
    ),
    Mistake(
        "a table of tokens instead of attention",
        _one_fixed_order,
        "Each block has a random order. Can the weights know it before they see the row?",
    ),
    Mistake(
        "the sizes are not those of the arguments",
        k_composed(sizes=(32, 64)),
        "`d_vocab` and `n_ctx` are arguments. Where does your config get its sizes?",
    ),
)
