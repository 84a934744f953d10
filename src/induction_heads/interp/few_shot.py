"""What a model of `data/few_shot_rows` answers, and what its heads and states carry.

Accuracy is the share of prompts whose most likely next token is the answer.
"""

from typing import Any, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor

from induction_heads.data.few_shot_rows import (
    ARROW,
    BOS,
    D_VOCAB,
    FIRST_INPUT,
    N_PAIRS,
    N_SYMBOLS,
    N_TASKS,
    arrow_prompts,
    few_shot_mappings,
    random_answers,
    shuffled_answers,
)
from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.ablation import (
    Head,
    ablation_scores,
    head_hooks,
    mean_ablation_hook,
    second_copy_loss,
)
from induction_heads.interp.activations import head_scores
from induction_heads.interp.losses import in_context_learning_score, per_token_loss
from induction_heads.interp.scores import induction_score
from induction_heads.interp.task_vectors import (
    accuracy_with,
    effects_of_values,
    exclusive_heads,
    last_mixed,
    mean_outputs,
    patched_logits,
    residual_at,
    same_layer_heads,
    task_vector,
)
from induction_heads.models.interface import HookedModel

PERIOD = 9
N_EXAMPLES = N_PAIRS - 1

COUNTS = (1, 2, 3, 4, 6, 8)
"""The numbers of heads that are added or ablated."""

N_DRAWS = 5
"""Random sets of heads for each number."""

Tasks = tuple[int, ...]

ALL_TASKS: Tasks = tuple(range(N_TASKS))
CHOSEN_ON: Tasks = ALL_TASKS[: N_TASKS // 2]
"""The mappings by whose effects heads are chosen, when they are then tested on the others."""

HELD_OUT: Tasks = ALL_TASKS[N_TASKS // 2 :]


def points(model: HookedModel) -> tuple[str, ...]:
    """The hook points between the layers, from the embedding to the end."""
    n_layers = model.cfg.n_layers
    before = (f"blocks.{layer}.hook_resid_pre" for layer in range(n_layers))
    return (*before, f"blocks.{n_layers - 1}.hook_resid_post")


def decimals(value: float, digits: int = 4) -> float:
    """The value, rounded; −0 becomes 0."""
    return round(value, digits) + 0.0


def few_shot_accuracy(
    model: HookedModel,
    n_examples: int = N_EXAMPLES,
    *,
    without: list[Head] | None = None,
    corrupted: Literal["", "shuffled", "random"] = "",
    seed: int = 1,
) -> float:
    """The mean accuracy over the eight mappings, on 32 prompts each.

    The heads in `without` are mean-ablated: at each position they write their mean over the rows of
    all mappings, which is the same for every mapping. `corrupted` prompts have shuffled or random
    outputs in their examples.
    """
    drawn = [arrow_prompts(task, 32, n_examples, seed=seed + task) for task in ALL_TASKS]
    rows, answers = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    if corrupted == "shuffled":
        rows = shuffled_answers(rows, seed=seed)
    elif corrupted == "random":
        rows = random_answers(rows, answers, seed=seed)
    with torch.inference_mode():
        logits = model.run_with_hooks(rows, fwd_hooks=head_hooks(without or [], mean_ablation_hook))
    return (logits[:, -1].argmax(dim=-1) == answers).float().mean().item()


def copying(model: HookedModel, without: list[Head] | None = None) -> tuple[float, float]:
    """On blocks of random tokens that occur twice: in-context-learning score, and copying loss.

    The score is the mean loss of the last quarter minus that of the first. The copying loss is that
    of the second copy. Both are in nats. Heads are mean-ablated as above.
    """
    tokens = repeated_tokens(D_VOCAB, PERIOD, batch=128, bos_token=BOS, seed=1)
    with torch.inference_mode():
        logits = model.run_with_hooks(
            tokens, fwd_hooks=head_hooks(without or [], mean_ablation_hook)
        )
    score = in_context_learning_score(per_token_loss(logits, tokens))
    return score, second_copy_loss(logits, tokens, PERIOD)


def few_shot_effects(
    model: HookedModel, tasks: Tasks = ALL_TASKS, *, batch: int = 24, seed: int = 0
) -> Float[Tensor, "layer head"]:
    """The indirect effect of every head, as a mean over mappings.

    The prompts have five examples; the corrupted prompts have others, with random answers.
    """
    values, rows, answers = [], [], []
    for task in tasks:
        prompts, _ = arrow_prompts(task, batch, seed=seed)
        mean = last_mixed(model, prompts).mean(dim=1, keepdim=True)
        values.append(mean.expand(-1, batch, -1, -1))
        drawn, right = arrow_prompts(task, batch, seed=seed + 1)
        rows.append(random_answers(drawn, right, seed=seed))
        answers.append(right)
    return effects_of_values(model, torch.cat(values, dim=1), torch.cat(rows), torch.cat(answers))


def induction_scores(model: HookedModel) -> Float[Tensor, "layer head"]:
    """The induction score of every head on blocks of random tokens that occur twice."""
    tokens = repeated_tokens(D_VOCAB, PERIOD, batch=64, bos_token=BOS, seed=1)
    scorer = {"induction": lambda pattern: induction_score(pattern, PERIOD)}
    return head_scores(model, tokens, scorer)["induction"]


def copying_costs(model: HookedModel) -> Float[Tensor, "layer head"]:
    """The rise of the copying loss, in nats, when each head in turn is mean-ablated."""
    tokens = repeated_tokens(D_VOCAB, PERIOD, batch=64, bos_token=BOS, seed=2)
    return ablation_scores(model, tokens, method="mean", last=PERIOD - 1)


def bare_prompts(tasks: Tasks) -> tuple[Int[Tensor, "batch pos"], Int[Tensor, " batch"]]:
    """`BOS x →` for each of the 8 inputs and each mapping, and the answers: 8 rows a mapping."""
    inputs = torch.arange(N_SYMBOLS) + FIRST_INPUT
    row = torch.stack([torch.full_like(inputs, BOS), inputs, torch.full_like(inputs, ARROW)], dim=1)
    return row.repeat(len(tasks), 1), few_shot_mappings()[list(tasks)].flatten()


def task_outputs(
    model: HookedModel, tasks: Tasks = ALL_TASKS, *, seed: int = 0
) -> Float[Tensor, "task layer head d_model"]:
    """What each head writes at the last position, as a mean over 64 prompts of each mapping."""
    return torch.stack([mean_outputs(model, arrow_prompts(task, seed=seed)[0]) for task in tasks])


def vector_of(
    outputs: Float[Tensor, "task layer head d_model"], heads: list[Head]
) -> Float[Tensor, "task d_model"]:
    """The sum of what these heads write, for each mapping."""
    return torch.stack([outputs[:, layer, head] for layer, head in heads]).sum(dim=0)


def added_accuracy(
    model: HookedModel, vectors: Float[Tensor, "task d_model"], tasks: Tasks, point: str
) -> float:
    """Accuracy without examples, with a vector for each mapping added at the last position."""
    rows, answers = bare_prompts(tasks)
    return accuracy_with(model, rows, answers, point, vectors.repeat_interleave(N_SYMBOLS, dim=0))


def ranked(scores: Float[Tensor, "layer head"]) -> list[Head]:
    """All heads as (layer, head), the largest score first."""
    order = scores.flatten().argsort(descending=True).tolist()
    return [divmod(index, scores.shape[1]) for index in order]


def vector_curve(model: HookedModel) -> dict[str, Any]:
    """Accuracy with function vectors of more and more heads, and of random heads of those layers.

    Heads are ranked by their effects on `CHOSEN_ON`, and the point is the one where four of them
    work best for these mappings. The curve is that of the mappings in `HELD_OUT`: their own
    vectors, those of the next mapping (`other`), and `random` heads of the same layers, where each
    layer has enough others. `chosen_on` is the accuracy on the mappings of the choice.
    """
    order = ranked(few_shot_effects(model, CHOSEN_ON))
    outputs = {tasks: task_outputs(model, tasks) for tasks in (CHOSEN_ON, HELD_OUT)}

    def accuracy(heads: list[Head], point: str, tasks: Tasks = HELD_OUT, shift: int = 0) -> float:
        vectors = vector_of(outputs[tasks], heads).roll(shift, dims=0)
        return decimals(added_accuracy(model, vectors, tasks, point))

    point = max(points(model), key=lambda point: accuracy(order[:4], point, CHOSEN_ON))
    curve = []
    for count in (*COUNTS, 12, 16, len(order)):
        heads = order[:count]
        controls = _controls(model, heads)
        curve.append(
            {
                "heads": count,
                "chosen_on": accuracy(heads, point, CHOSEN_ON),
                "held_out": accuracy(heads, point),
                "other": accuracy(heads, point, shift=1),
                "random": [accuracy(control, point) for control in controls],
            }
        )
    bare = added_accuracy(model, torch.zeros(len(HELD_OUT), model.cfg.d_model), HELD_OUT, point)
    return {"point": point, "bare": decimals(bare), "order": order[:8], "curve": curve}


def _controls(model: HookedModel, heads: list[Head]) -> list[list[Head]]:
    """Random sets of as many heads of the same layers; none if a layer has too few others."""
    drawn = [same_layer_heads(heads, model.cfg.n_heads, seed=draw) for draw in range(N_DRAWS)]
    return [control for control in drawn if len(control) == len(heads)]


def patched_states(model: HookedModel, *, seed: int = 3) -> list[dict[str, Any]]:
    """Accuracy with the state at the arrow of another prompt, hook point by hook point.

    Rows are `BOS x →`. The state comes from prompts of the mapping with five examples and a query
    of their own. `own` asks for the answer to x, and `theirs` for the answer to that other query.
    Rows in which both have the same answer are left out. `difference` adds the mean difference that
    examples make (`task_vector`) in place of moving a state, and asks for the answer to x.
    """
    rows, answers = bare_prompts(ALL_TASKS)
    drawn = [arrow_prompts(task, N_SYMBOLS, seed=seed + task) for task in ALL_TASKS]
    source, theirs = (torch.cat(parts) for parts in zip(*drawn, strict=True))
    differs = answers != theirs
    found = []
    for point in points(model):
        guesses = patched_logits(model, rows, source, point).argmax(dim=-1)
        own, other = (
            (guesses == each)[differs].float().mean().item() for each in (answers, theirs)
        )
        prompts = residual_at(model, source, point).unflatten(0, (N_TASKS, -1))
        bare = residual_at(model, rows, point).unflatten(0, (N_TASKS, -1))
        vectors = [task_vector(*each) for each in zip(prompts, bare, strict=True)]
        added = added_accuracy(model, torch.stack(vectors), ALL_TASKS, point)
        shares = {"own": own, "theirs": other, "difference": added}
        found.append({"point": point} | {kind: decimals(each) for kind, each in shares.items()})
    return found


def dissociation(model: HookedModel, effects: Tensor, costs: Tensor) -> list[dict[str, Any]]:
    """Accuracy and copying without the heads of one kind that are not of the other.

    `effects` are those of `few_shot_effects`, `costs` those of `copying_costs`. For each number of
    heads: without function-vector heads, without copying heads, and without random heads of the
    layers of each, where each layer has enough others. Every set has its `accuracy`, and the
    `score` and `loss` of `copying`.
    """
    rows = []
    for count in COUNTS:
        sets = {
            "function vector": [exclusive_heads(effects, costs, count)],
            "copying": [exclusive_heads(costs, effects, count)],
        }
        for kind, (heads,) in list(sets.items()):
            sets[f"random for {kind}"] = _controls(model, heads)
        measured = {
            name: [_measured_without(model, heads) for heads in each] for name, each in sets.items()
        }
        rows.append({"heads": count, **measured})
    return rows


def _measured_without(model: HookedModel, heads: list[Head]) -> dict[str, float]:
    score, loss = copying(model, heads)
    accuracy = few_shot_accuracy(model, without=heads)
    return {"accuracy": decimals(accuracy), "score": decimals(score), "loss": decimals(loss)}
