"""Exercises of chapter 14: features of a stream, and the graph behind a logit.

Replace each `raise NotImplementedError` with your code. Check all of them with
`induction-heads check ch14`, or one with `induction-heads check sae_loss`.
"""

from typing import TYPE_CHECKING

import torch  # noqa: F401
from jaxtyping import Bool, Float, Int
from torch import Tensor

from induction_heads.interp.natural_repeats import (  # noqa: F401
    match_lengths,
    natural_repeats,
)
from induction_heads.models.attention import attention_pattern  # noqa: F401

if TYPE_CHECKING:  # Importing TransformerLens takes seconds, and these functions only name it.
    from transformer_lens import TransformerBridge


def sae_loss(
    stream: Float[Tensor, "example d_model"],
    reconstruction: Float[Tensor, "example d_model"],
    activations: Float[Tensor, "example feature"],
    penalty: float,
) -> Float[Tensor, ""]:
    """What a sparse autoencoder is trained to lower.

    ★ · 5 minutes. Why: the loss says what the features are rewarded for, and what they are
    not.

    For one example: the squared length of `stream − reconstruction`, plus `penalty` times the sum
    of the activations. Return the mean over the examples, a tensor without axes. Activations are
    never negative.
    """
    raise NotImplementedError


def shrunk_activation_formula() -> str:
    """The activation that the penalty leaves, as a formula.

    ★★ · 8 minutes, with pen and paper. Why: a penalty on activations also shrinks them, and
    you can predict by how much.

    A stream is a times one direction of length 1, and the decoder of a feature has found that
    direction. Its activation f, which cannot be negative, is chosen to make the loss
    (a − f)² + c f as small as possible. Which f is that? Return a Python expression in `a` and `c`,
    both above 0, as text. It may use + - * / **, sqrt, min and max.
    """
    raise NotImplementedError


def dead_features(activations: Float[Tensor, "example feature"]) -> Int[Tensor, " dead"]:
    """The indices of the features that are 0 on every example, in increasing order.

    ★ · 4 minutes. Why: a dictionary with dead entries is smaller than it looks.

    Activations are never negative. The answer is empty if there is none.
    """
    raise NotImplementedError


def feature_detection_scores(
    activations: Float[Tensor, "example feature"],
    labels: Int[Tensor, " example"],
    n_labels: int,
    threshold: float = 0.5,
) -> tuple[Float[Tensor, "feature label"], Float[Tensor, "feature label"]]:
    """Precision and recall of every feature as a detector of every label.

    ★★ · 15 minutes. Why: a feature's name was given by somebody. These two numbers say
    whether it is deserved.

    A feature is *on* in an example if its activation is above `threshold` times its own largest
    activation. `labels` has one of 0 … n_labels − 1 for each example.

    - precision of feature j for label x: of the examples where j is on, the share with label x;
    - recall: of the examples with label x, the share where j is on.

    Where the denominator is 0, the score is 0. Return (precision, recall).
    """
    raise NotImplementedError


def path_contributions(
    model: "TransformerBridge",
    tokens: Int[Tensor, " pos"],
    query: int,
    direction: Float[Tensor, " d_model"],
) -> Float[Tensor, "first second source middle"]:
    """What every path adds to the stream at `query` along `direction`, with patterns held fixed.

    ★★★ · 25 minutes. Why: with fixed patterns the model is linear, so every path has a number,
    and nothing is left over.

    The model has two layers of H heads and no layer norm. A path starts at position s, in
    x = W_E[token] + W_pos. Head a of layer 0 takes it from s to m; head b of layer 1 takes it from
    m to the query. Entry [a, b, s, m] of the answer is

        P_a[m, s] · P_b[query, m] · (x_s M_a M_b) · direction

    with the pattern P of a head as it is on these tokens, and M = W_V W_O of the head. The axes
    `first` and `second` have H + 1 entries: the last one means *no head*, where both P and M are
    identity matrices, so the path stays where it is. The answer sums to the component of the
    model's stream along `direction` at the query.

    Start here: `model.W_V` is [layer head d_model d_head], `model.W_O` [layer head d_head d_model].
    `attention_pattern(queries, keys)` of chapter 1 gives a pattern. What does layer 1 read?
    """
    raise NotImplementedError


def paths_formula() -> str:
    """How many paths lead to one query, as a formula.

    ★★ · 10 minutes, with pen and paper. Why: the sum is exact, and it has this many terms.

    A query sees n positions, its own among them. The model has two layers of H heads. A path uses
    one head or none in each layer. Without a head it stays where it is; a head can bring it from
    any position to the same or a later one. How many paths end at the query? Return a Python
    expression in `n` and `H` as text, without a sum sign.
    """
    raise NotImplementedError


def pruned_edges(flows: Float[Tensor, " edge"], share: float) -> Bool[Tensor, " edge"]:
    """True for the edges to keep: the fewest whose |flow| is at least `share` of all |flow|.

    ★★ · 10 minutes. Why: a graph that nobody can read explains nothing, and a rule that says
    what was left out keeps a small graph honest.

    Signs do not count: two large flows that cancel are both kept. `share` is between 0, which
    needs no edge at all, and 1.
    """
    raise NotImplementedError


def logit_lens(
    model: "TransformerBridge", tokens: Int[Tensor, "batch pos"]
) -> Float[Tensor, "depth batch pos d_vocab"]:
    """The stream before each layer and after the last one, read as logits.

    ★★ · 12 minutes. Why: it is the cheapest question about a layer, and easy to ask in the
    wrong way.

    Entry 0 is the stream before layer 0, entry 1 that before layer 1, and so on; the last is the
    stream after the last layer. Each of them goes through the model's final layer norm and
    unembedding, as if it were the last. So the last entry equals `model(tokens)`.

    Start here: the hooks are `blocks.{layer}.hook_resid_pre` and `blocks.{layer}.hook_resid_post`.
    `model.ln_final` and `model.unembed` can be called. `model.cfg.n_layers` counts the layers.
    """
    raise NotImplementedError


def ridge_probe(
    stream: Float[Tensor, "example d_model"],
    labels: Int[Tensor, " example"],
    n_labels: int,
    penalty: float,
) -> tuple[Float[Tensor, "d_model label"], Float[Tensor, " label"]]:
    """A linear probe: weights and bias, fitted in one step.

    ★★ · 15 minutes. Why: a probe is the baseline of every claim about features, and this one needs
    no training loop.

    The target of an example is 1 at its label and 0 at the others. Choose W and b so that this is
    smallest: the mean over examples of the squared length of `x W + b − target`, plus `penalty`
    times the sum of the squares of W. The bias costs nothing. Return W and b.

    Start here: what must b be if every x and every target have mean 0? For such data, set the
    gradient with respect to W to zero. `torch.linalg.solve(A, B)` finds the X with A X = B.
    """
    raise NotImplementedError


def detection_auc(
    activations: Float[Tensor, "example feature"],
    labels: Int[Tensor, " example"],
    n_labels: int,
) -> Float[Tensor, "feature label"]:
    """How often a feature is stronger on an example with a label than on one without.

    ★★ · 15 minutes. Why: it compares a probe with a feature without asking either for a threshold.

    Entry [feature, label]: of all pairs of an example that has the label and one that does not, the
    share in which the feature is stronger on the first. A pair with equal activations counts one
    half: a sparse feature is 0 nearly everywhere, so this is not a detail. NaN for a label that no
    example has, or all examples have.

    For activations 3, 0, 0, 1 and the labels 1, 1, 0, 0, the entry of label 1 is 2.5 / 4.
    """
    raise NotImplementedError


def feature_rates_by_match_length(
    activations: Float[Tensor, "batch pos feature"],
    tokens: Int[Tensor, "batch pos"],
    longest: int = 4,
) -> dict[str, Float[Tensor, "length feature"]]:
    """How often each feature is on, by how many tokens match.

    ★★★ · 25 minutes. Why: a feature is a long-prefix feature only if it is silent at short matches.

    A feature is on where its activation is above 0. The longest match of a query is the largest k
    for which the last k tokens, the query's own included, occurred earlier in the row as a block.
    It is 0 if its token is new. A block may overlap with the one it matches, but starts earlier.
    Return three tables under the names `all`, `right` and `wrong`. Entry k is the share of the
    queries with a longest match of k tokens at which the feature is on; the last entry takes
    `longest` and more together. `right` counts only the queries whose token occurred earlier and
    was followed, at least once, by the token that comes next; `wrong` those whose token occurred
    earlier and never was. The last position of a row is left out: nothing follows it. NaN where
    there is no query, so entry 0 of `right` and `wrong` is NaN.

    `match_lengths` and `natural_repeats` in `induction_heads.interp.natural_repeats` do the
    counting; both are exercises of chapter 13.
    """
    raise NotImplementedError


def tuned_lens_loss(
    model: "TransformerBridge",
    stream: Float[Tensor, "example d_model"],
    final_logits: Float[Tensor, "example d_vocab"],
    weight: Float[Tensor, "d_model d_model"],
    bias: Float[Tensor, " d_model"],
) -> Float[Tensor, ""]:
    """How far the predictions of a tuned lens are from those of the model.

    ★★ · 15 minutes. Why: the loss says what a tuned lens is rewarded for, namely for what the model
    will say in the end, whether or not it has computed it yet.

    The lens turns a stream x into `x @ weight + bias` and reads that as the logit lens does: final
    norm, unembedding. `final_logits` are the model's own. Return the mean over examples of
    KL(model ‖ lens) = Σ p (log p − log q), in nats, with p from the model and q from the lens.

    `model.ln_final` and `model.unembed` take [batch pos d_model].
    """
    raise NotImplementedError


def transcoder_parts(
    inputs: Float[Tensor, "example d_model"],
    outputs: Float[Tensor, "example d_out"],
    encoder: Float[Tensor, "d_model feature"],
    encoder_bias: Float[Tensor, " feature"],
    decoder: Float[Tensor, "feature d_out"],
    decoder_bias: Float[Tensor, " d_out"],
    k: int,
) -> tuple[Float[Tensor, "example feature d_out"], Float[Tensor, "example d_out"]]:
    """What each feature of a transcoder writes, and what the transcoder leaves out.

    ★★ · 12 minutes. Why: a graph through a stand-in is only as honest as its record of what the
    stand-in misses.

    `inputs` are what an MLP read and `outputs` what it wrote. The activation of a feature is
    input · encoder + encoder_bias, with negative values set to 0; in each example only the k
    largest activations are kept, and the others are 0. Feature j writes its activation times row j
    of `decoder`. The transcoder as a whole writes the sum of these and `decoder_bias`.

    Return (written, error): what each feature writes in each example, and the error node, which is
    what has to be added to the transcoder's output to get `outputs`.
    """
    raise NotImplementedError


def feature_contributions(
    sources: Float[Tensor, "source pos d_model"],
    pattern: Float[Tensor, "head pos"],
    writes: Float[Tensor, "head d_model d_model"],
    scale_before: Float[Tensor, " pos"],
    scale_after: float,
    reads: Float[Tensor, " d_model"],
) -> Float[Tensor, "via source pos"]:
    """What each source adds to one number at the last position, through each head or none.

    ★★★ · 25 minutes. Why: these numbers are the edges of an attribution graph, and they add up.

    `sources` are what different parts of a model wrote into the stream in front of a layer. A head
    h of that layer looks from the last position at position p with the weight pattern[h, p]. There
    it reads a source x behind a layer norm whose scale is held fixed: x minus the mean of its
    entries, divided by scale_before[p]. It writes what it read, times the matrix writes[h].

    Then a second norm subtracts the mean again and divides by `scale_after`, and `reads` is
    multiplied with the result: that product is the number. It is linear, so each source has its
    own share. A source at the last position also stays in the stream, without any head and without
    the first norm, and meets the second norm and `reads` directly.

    Return [via source pos]. The first axis has the heads in order, then one more entry for what
    stays in the stream.

    Start here: with one head that looks only at position 0, which entries can differ from 0?
    """
    raise NotImplementedError


def replacement_score(
    edges: Float[Tensor, "node node"],
    is_input: Bool[Tensor, " node"],
    is_error: Bool[Tensor, " node"],
) -> float:
    """The share of a graph's influence on the logit that begins at inputs, and not at error nodes.

    ★★ · 20 minutes. Why: the sum of a graph is exact however bad the stand-in is. This number is
    not.

    Entry [i, j] of `edges` is what node j adds to node i. Nodes are in order: an edge leads to a
    later node, and the last node is the logit. Start there with an influence of 1. Every node gives
    all of its influence to the nodes that it reads from, in proportion to the absolute values of
    the edges. A node that is read by several others gets a part from each of them.

    Return the influence that arrives at inputs, divided by what arrives at inputs and error nodes
    together. Neither of them reads anything. A third kind of node may read nothing as well, a
    feature that its bias alone turns on: what arrives there is not counted.

    Start here: an input and an error node add 3 and −1 to a feature, and the feature and the error
    node add 2 each to the logit. What arrives at the input?
    """
    raise NotImplementedError


def score_attributions(
    query_sources: Float[Tensor, "source d_model"],
    key_sources: Float[Tensor, "other d_model"],
    W_Q: Float[Tensor, "d_model d_head"],
    W_K: Float[Tensor, "d_model d_head"],
    b_Q: Float[Tensor, " d_head"],
    b_K: Float[Tensor, " d_head"],
) -> Float[Tensor, "query_source key_source"]:
    """One attention score as a sum over pairs: a source of the query and a source of the key.

    ★★ · 15 minutes. Why: a graph with frozen patterns cannot say why a head looks where it looks.
    This can.

    The query is the sum of `query_sources` times W_Q, plus b_Q, and the key the sum of
    `key_sources` times W_K, plus b_K. Entry [a, b] of the answer is the contribution of source a
    at the query with source b at the key to the score before mask and softmax. Both axes have one
    more entry than there are sources, the last one, for the bias. The table sums to the score.
    """
    raise NotImplementedError
