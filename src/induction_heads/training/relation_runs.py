"""The stored runs on rows of facts, on rows of copies, and on both: what heads read and write.

After Ren et al. 2024, who look for heads that attend to the subject of a fact and raise its tail.
`induction-heads experiment relations` trains the models again.
"""

from collections.abc import Callable
from functools import cache, partial
from statistics import mean
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from induction_heads.data.relation_rows import (
    D_VOCAB,
    FIRST_FILLER,
    FIRST_TAIL,
    N_POS,
    N_RELATIONS,
    N_SUBJECTS,
    SHARES,
    Facts,
    fact_table,
    facts,
    mixed_rows,
    tail_of,
)
from induction_heads.data.tokens import repeated_tokens
from induction_heads.interp.activations import attention_patterns, head_scores
from induction_heads.interp.losses import per_token_loss
from induction_heads.interp.relations import raised_logits, relation_index, tail_shares
from induction_heads.interp.scores import induction_score, previous_token_score
from induction_heads.models.attention_only import AttentionLayer, AttentionOnly, AttentionOnlyConfig
from induction_heads.training.initial_weights import initialized
from induction_heads.training.records import HELD_OUT_SEED, rounded
from induction_heads.training.run import Settings, train

CONFIG = AttentionOnlyConfig(2, 2, 64, 32, D_VOCAB, N_POS)
SETTINGS = Settings(steps=500)
PERIOD = 12
SEEDS = (0, 1, 2)

RUNS = {f"{kind}-s{seed}": (kind, seed) for kind in SHARES for seed in SEEDS}
"""Name → kind of rows and seed."""

N_SHUFFLES = 20
"""How many shuffled tables the control averages over."""

PerHead = Float[Tensor, "layer head"]


def train_relation_model(
    kind: str, seed: int = 0, settings: Settings = SETTINGS, *, progress: bool = False
) -> AttentionOnly:
    """Two layers of two heads, trained on `mixed_rows`. The seed decides weights and rows."""
    model = initialized(AttentionOnly(CONFIG), seed)
    rows = partial(mixed_rows, kind)
    return train(model, rows, settings, seed=seed, progress=progress).model


@cache
def measured_facts() -> Facts:
    """The rows of facts that all models are measured on."""
    return facts(torch.Generator().manual_seed(HELD_OUT_SEED), batch=256)


@cache
def measured_copies() -> Tensor:
    """Two copies of random tokens of all kinds, which all models are measured on."""
    return repeated_tokens(D_VOCAB, PERIOD, batch=256, seed=HELD_OUT_SEED)


def losses(model: AttentionOnly) -> dict[str, float]:
    """The mean loss in nats where something can be known.

    `facts`: the tails; `new_tails`: those that their row has not had before. `copies`: the second
    of two copies; `copied_subjects`, `copied_fillers` and `copied_tails`: by what is copied there.
    """
    rows, copies = measured_facts(), measured_copies()
    with torch.inference_mode():
        of_facts = per_token_loss(model(rows.tokens), rows.tokens)
        of_copies = per_token_loss(model(copies), copies)[:, PERIOD:]
    right = copies[:, PERIOD + 1 :]
    kinds = {
        "copied_subjects": right < N_SUBJECTS,
        "copied_fillers": (right >= FIRST_FILLER) & (right < FIRST_TAIL),
        "copied_tails": right >= FIRST_TAIL,
    }
    found = {
        "facts": of_facts[(rows.relations >= 0)[:, :-1]],
        "new_tails": of_facts[rows.tail_is_new()[:, :-1]],
        "copies": of_copies,
    } | {name: of_copies[where] for name, where in kinds.items()}
    return {name: round(values.mean().item(), 4) for name, values in found.items()}


def by_relation(
    model: AttentionOnly, table: Tensor | None = None, read: str = "subject"
) -> Float[Tensor, "relation layer head"]:
    """The relation index of every head under each relation.

    `table` is another `fact_table`, for a control. With `read="query"` the OV circuit is read at
    the query's own token, which is the relation, instead of at the subject.
    """
    rows = measured_facts()
    patterns = attention_patterns(model, rows.tokens)
    tokens, found = rows.tokens, []
    for relation in range(N_RELATIONS):
        tails = tail_of(relation, table)
        per_layer = []
        for layer, pattern in enumerate(patterns):
            raised = raised_logits(model, layer)
            if read == "query":
                raised = raised[:, [N_SUBJECTS + relation] * D_VOCAB]
            subjects = rows.subjects_of(relation)
            per_layer.append(relation_index(pattern, raised, tokens, subjects, tails))
        found.append(torch.stack(per_layer))
    return torch.stack(found)


def shuffled_index(model: AttentionOnly) -> Float[Tensor, "relation layer head"]:
    """The mean of `by_relation` over tables whose tails are shuffled within each relation."""
    generator = torch.Generator().manual_seed(HELD_OUT_SEED)
    tables = [fact_table(generator) for _ in range(N_SHUFFLES)]
    return torch.stack([by_relation(model, table) for table in tables]).mean(dim=0)


def literal_share(model: AttentionOnly) -> PerHead:
    """The share of what each head raises that falls on the attended token, over all ids."""
    itself = torch.arange(D_VOCAB)
    layers = range(model.config.n_layers)
    found = [tail_shares(raised_logits(model, layer), itself).mean(dim=-1) for layer in layers]
    return torch.stack(found)


def attention_to_subjects(model: AttentionOnly) -> PerHead:
    """The mean attention from a relation to the subject of its fact."""
    rows = measured_facts()
    row, query = (rows.subjects >= 0).nonzero(as_tuple=True)
    patterns = attention_patterns(model, rows.tokens)
    return patterns[:, row, :, query, rows.subjects[row, query]].mean(dim=0)


def tails_raised_most(model: AttentionOnly) -> Float[Tensor, "layer head"]:
    """For how many of the 32 facts a head raises the tail above the other 15 of its relation."""
    table, found = fact_table(), []
    for layer in range(model.config.n_layers):
        raised, right = raised_logits(model, layer), torch.zeros(model.config.n_heads)
        for relation in range(N_RELATIONS):
            first = FIRST_TAIL + N_SUBJECTS * relation
            among = raised[:, :N_SUBJECTS, first : first + N_SUBJECTS].argmax(dim=-1) + first
            right += (among == table[relation]).sum(dim=-1)
        found.append(right)
    return torch.stack(found)


def without_head(model: AttentionOnly, layer: int, head: int) -> AttentionOnly:
    """The model with the output of one head set to zero."""
    other = AttentionOnly(model.config)
    other.load_state_dict(model.state_dict())
    weights = other.layers[layer]
    assert isinstance(weights, AttentionLayer)
    with torch.no_grad():
        weights.W_O[head] = 0
    return other


def _without_each(model: AttentionOnly, measure: Callable[[AttentionOnly], float]) -> PerHead:
    """A measure of the model without each head."""
    layers, heads = range(model.config.n_layers), range(model.config.n_heads)
    return torch.tensor(
        [[measure(without_head(model, layer, head)) for head in heads] for layer in layers]
    )


def ablation_costs(model: AttentionOnly) -> dict[str, list[list[float]]]:
    """By how much the loss on facts and on copies rises without each head."""
    before, n_heads = losses(model), model.config.n_heads
    costs: dict[str, list[list[float]]] = {"facts": [], "copies": []}
    for layer in range(model.config.n_layers):
        after = [losses(without_head(model, layer, head)) for head in range(n_heads)]
        for name, rows in costs.items():
            rows.append([round(each[name] - before[name], 3) for each in after])
    return costs


def at_copied_relations(model: AttentionOnly) -> dict[str, PerHead]:
    """Where each head looks in plain copies when its query is a relation, in the second copy.

    `stripe`: at the token after the earlier copy; `subject`: at the latest subject, where that is
    another key.
    """
    copies = measured_copies()
    places = torch.arange(copies.shape[1])
    latest = torch.where(copies < N_SUBJECTS, places, -1).cummax(dim=1).values
    stripe = places - PERIOD + 1
    asked = (copies >= N_SUBJECTS) & (copies < FIRST_FILLER) & (latest >= 0) & (latest != stripe)
    asked &= (places >= PERIOD) & (places < copies.shape[1] - 1)
    row, query = asked.nonzero(as_tuple=True)
    patterns = attention_patterns(model, copies)
    keys = {"stripe": stripe[query], "subject": latest[row, query]}
    return {name: patterns[:, row, :, query, key].mean(dim=0) for name, key in keys.items()}


def beside_copies(model: AttentionOnly, table: Tensor | None = None) -> float:
    """In plain copies, by how much the tails of a subject that comes next are above other tails.

    In logits, in the second copy. `table` is another `fact_table`, for a control.
    """
    copies = measured_copies()
    with torch.inference_mode():
        logits = model(copies)[:, PERIOD:-1]
    following = copies[:, PERIOD + 1 :]
    asked = following < N_SUBJECTS
    tails = fact_table() if table is None else table
    own = logits[asked].gather(1, tails[:, following[asked]].T)
    return (own.mean() - logits[asked][:, FIRST_TAIL:].mean()).item()


def measured(model: AttentionOnly) -> dict[str, Any]:
    """Everything that the chapter reports of one model."""
    scorers = {
        "stripe": partial(induction_score, period=PERIOD),
        "previous": previous_token_score,
    }
    scores = head_scores(model, measured_copies(), scorers)
    per_head = {
        "index": by_relation(model),
        "shuffled": shuffled_index(model),
        "read_at_query": by_relation(model, read="query"),
        "attention": attention_to_subjects(model),
        "literal": literal_share(model),
        "raised_most": tails_raised_most(model),
        **scores,
    }
    return {
        "losses": losses(model),
        **{name: _decimals(values) for name, values in per_head.items()},
        "costs": ablation_costs(model),
        "at_relations": {
            name: rounded(heads, 3) for name, heads in at_copied_relations(model).items()
        },
        "beside_copies": round(beside_copies(model), 3),
        "beside_copies_other_table": round(beside_copies(model, fact_table(seed=1)), 3),
        "beside_copies_without": rounded(_without_each(model, beside_copies), 3),
    }


def _decimals(values: Tensor) -> Any:
    return rounded(values, 3) if values.ndim == 2 else [rounded(each, 3) for each in values]


def relation_result(name: str) -> dict[str, Any]:
    """Train one of `RUNS` and measure it."""
    kind, seed = RUNS[name]
    return measured(train_relation_model(kind, seed))


def mean_loss(result: dict[str, Any]) -> float:
    """The number by which two results are compared: the loss on facts and copies, as a mean."""
    return mean(result["losses"][name] for name in ("facts", "copies"))
