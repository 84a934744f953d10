"""Linear probes of a stream: what labels find there, how well they detect it, and how to erase it.

A probe is trained to find a label. Whether the model uses the label is another question, which an
edit of the stream answers: `without_flag` removes what any linear probe could go by.
"""

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor


def ridge_probe(
    stream: Float[Tensor, "example d_model"],
    labels: Int[Tensor, " example"],
    n_labels: int,
    penalty: float,
) -> tuple[Float[Tensor, "d_model label"], Float[Tensor, " label"]]:
    """Weights and bias of the linear probe whose outputs are nearest to 1 for the label, 0 else.

    The minimum of the mean over examples of ‖x W + b − onehot(label)‖², plus `penalty` · ‖W‖²
    (ridge regression). The bias is not penalized. Raises ValueError unless `penalty` is above 0:
    with too few examples, or dimensions that do not vary, there is no single best probe without it.

    >>> import torch
    >>> stream = torch.tensor([[0.0, 5.0], [0.0, 7.0], [2.0, 5.0], [2.0, 7.0]])
    >>> weights, bias = ridge_probe(stream, torch.tensor([0, 0, 1, 1]), 2, penalty=1.0)
    >>> weights  # Only the first dimension says which label it is.
    tensor([[-0.2500,  0.2500],
            [ 0.0000,  0.0000]])
    """
    if not penalty > 0:
        raise ValueError(f"penalty={penalty}: use a number above 0, such as 1e-3.")
    targets = F.one_hot(labels, n_labels).to(stream.dtype)
    mean, shares = stream.mean(dim=0), targets.mean(dim=0)
    centered = stream - mean
    moments = centered.T @ centered / len(stream)
    moments = moments + penalty * torch.eye(stream.shape[1], dtype=stream.dtype)
    weights = torch.linalg.solve(moments, centered.T @ (targets - shares) / len(stream))
    return weights, shares - mean @ weights


def detection_auc(
    activations: Float[Tensor, "example feature"],
    labels: Int[Tensor, " example"],
    n_labels: int,
) -> Float[Tensor, "feature label"]:
    """How well each feature ranks the examples with a label above those without it.

    The area under the ROC curve: take one example with the label and one without at random; how
    often is the feature stronger on the first? A tie counts one half. So 0.5 is a feature that
    says nothing, and no threshold is needed. NaN for a label that no example has, or all have.

    >>> import torch
    >>> one_feature = torch.tensor([[3.0], [0.0], [0.0], [1.0]])
    >>> detection_auc(one_feature, torch.tensor([1, 1, 0, 0]), 2)
    tensor([[0.3750, 0.6250]])
    """
    has = F.one_hot(labels, n_labels).double()
    ranks = torch.stack([_middle_ranks(column) for column in activations.T])
    with_label, without = has.sum(dim=0), (1 - has).sum(dim=0)
    wins = ranks @ has - with_label * (with_label + 1) / 2
    return (wins / (with_label * without)).to(activations.dtype)


def probe_auc(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], n_labels: int, penalty: float = 1e-3
) -> Float[Tensor, " label"]:
    """For each label the AUC of the output that a probe has for it, on other examples.

    `train` and `test` are streams [example d_model] and labels [example] each.
    """
    weights, bias = ridge_probe(*train, n_labels, penalty)
    return detection_auc(test[0] @ weights + bias, test[1], n_labels).diagonal()


def best_feature_auc(
    train: tuple[Tensor, Tensor], test: tuple[Tensor, Tensor], n_labels: int
) -> Float[Tensor, " label"]:
    """For each label the AUC of the one feature that is best on `train`, measured on `test`.

    Both are activations [example feature] and labels [example]. Labels choose a feature here, and
    do nothing else. A label that `train` lacks gets its first feature.
    """
    best = detection_auc(*train, n_labels).nan_to_num(0.0).argmax(dim=0)
    return detection_auc(*test, n_labels)[best, torch.arange(n_labels)]


def _middle_ranks(values: Float[Tensor, " example"]) -> Float[Tensor, " example"]:
    """The place of each value in ascending order, from 1; equal values share their mean place."""
    _, places, counts = values.unique(return_inverse=True, return_counts=True)
    return (counts.cumsum(dim=0) - (counts - 1) / 2)[places].double()


def without_flag(
    vectors: Float[Tensor, "*batch d_model"],
    stream: Float[Tensor, "example d_model"],
    flag: Bool[Tensor, " example"],
) -> Float[Tensor, "*batch d_model"]:
    """The vectors without what a linear probe of `stream` could tell a yes/no label by.

    One direction is subtracted, the one in which the two means differ, times what the best linear
    probe reads. Afterwards both groups of `stream` have the same mean, so no linear probe beats a
    guess there; of all edits with this property it changes the vectors least (LEACE, Belrose et al.
    2023). Raises ValueError if the flag is the same on all examples.
    """
    if bool(flag.all()) or not bool(flag.any()):
        raise ValueError("The flag is the same on all examples, so there is nothing to erase.")
    mean = stream.mean(dim=0)
    centered = (stream - mean).double()
    differs = centered.T @ (flag.double() - flag.double().mean()) / len(stream)
    moments = centered.T @ centered / len(stream)
    reads = torch.linalg.lstsq(moments, differs[:, None], driver="gelsd").solution[:, 0]
    amount = (vectors - mean).double() @ reads / (differs @ reads)
    return vectors - (amount[..., None] * differs).to(vectors.dtype)
