"""Known mistakes of `effective_embedding`, each with its hint."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional

from induction_heads.course.exercise import Mistake

Answer = Callable[..., Tensor]


def normed(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    """Layer norm over the last axis, with PyTorch's 1e-5."""
    return functional.layer_norm(x, gain.shape, gain, bias)


def _kept(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    return x


def embedding_by(
    before: Callable[[Tensor, Tensor, Tensor], Tensor] = normed,
    activation: Callable[[Tensor], Tensor] = functional.gelu,
    stream: Callable[[Tensor, Tensor, Tensor], Tensor] = _kept,
    biases: tuple[bool, bool] = (True, True),
) -> Answer:
    """`effective_embedding` with another norm, activation or stream, or without a bias."""

    def answer(
        W_E: Tensor,
        gain: Tensor,
        bias: Tensor,
        W_in: Tensor,
        b_in: Tensor,
        W_out: Tensor,
        b_out: Tensor,
    ) -> Tensor:
        hidden = before(W_E, gain, bias) @ W_in + biases[0] * b_in
        return stream(W_E, gain, bias) + activation(hidden) @ W_out + biases[1] * b_out

    return answer


def _rms(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    return x / (x.square().mean(dim=-1, keepdim=True) + 1e-5).sqrt() * gain + bias


def _over_tokens(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    centered = x - x.mean(dim=0)
    return centered / (centered.square().mean(dim=0) + 1e-5).sqrt() * gain + bias


def _without_eps(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    return functional.layer_norm(x, gain.shape, gain, bias, eps=0.0)


def _unlearned(x: Tensor, gain: Tensor, bias: Tensor) -> Tensor:
    return functional.layer_norm(x, gain.shape)


def _after_W_out(W_E: Tensor, gain: Tensor, bias: Tensor, *mlp: Tensor) -> Tensor:
    W_in, b_in, W_out, b_out = mlp
    return W_E + functional.gelu((normed(W_E, gain, bias) @ W_in + b_in) @ W_out + b_out)


EMBEDDING_MISTAKES = (
    Mistake(
        "the embedding itself is missing",
        embedding_by(stream=lambda x, gain, bias: torch.zeros_like(x)),
        "That is what the MLP writes. Is it put in place of the stream, or added to it?",
    ),
    Mistake(
        "the MLP reads the embedding without its norm",
        embedding_by(before=_kept),
        "Two of the arguments are not used in your answer. What do they do before the MLP?",
    ),
    Mistake(
        "the norm is applied to the stream as well",
        embedding_by(stream=normed),
        "The norm is in front of the MLP. What does the embedding itself pass through?",
    ),
    Mistake(
        "the gain and the bias of the norm are left out",
        embedding_by(before=_unlearned),
        "Your norm gives every number the same weight. What has the model learned there?",
    ),
    Mistake(
        "the norm does not subtract the mean",
        embedding_by(before=_rms),
        "That is RMS norm, which Llama uses. What does layer norm do first?",
    ),
    Mistake(
        "the norm runs over the tokens",
        embedding_by(before=_over_tokens),
        "Should the entry for one token change when another token is dropped from the vocabulary?",
    ),
    Mistake(
        "nothing is added to the variance",
        embedding_by(before=_without_eps),
        "Look at the case whose embeddings are close to 0. What keeps a norm from dividing by 0?",
    ),
    Mistake(
        "no activation",
        embedding_by(activation=lambda hidden: hidden),
        "Without it the two matrices of the MLP are one. What is between them?",
    ),
    Mistake(
        "ReLU instead of GELU",
        embedding_by(activation=functional.relu),
        "What does GELU give for a number a little below 0?",
    ),
    Mistake(
        "the activation comes after W_out",
        _after_W_out,
        "The activation makes neurons of d_mlp numbers. Are yours of that length?",
    ),
    Mistake(
        "b_in is left out",
        embedding_by(biases=(False, True)),
        "What does a neuron get from a token whose normed embedding is 0?",
    ),
    Mistake(
        "b_out is left out",
        embedding_by(biases=(True, False)),
        "What does the MLP write when no neuron is on?",
    ),
)
