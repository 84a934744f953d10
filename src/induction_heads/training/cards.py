"""Model cards: one template, filled from the stored record of a training run."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from induction_heads.interp.formation import best
from induction_heads.training.recipes import Recipe
from induction_heads.training.records import heads_in_words, loss_at

GENERATED = "The data are random numbers; there is nothing to license."


@dataclass(frozen=True)
class Card:
    """The sections of a card, in order. Those without text are left out."""

    name: str
    model: str
    data: str
    license_of_the_data: str
    recipe: str
    command: str
    known_heads: str = ""
    curve: str = ""
    measured: str = ""
    limits: str = ""

    def markdown(self) -> str:
        """The card as the text of `card.md`."""
        sections = {
            title: text for title, text in vars(self).items() if title not in ("name", "model")
        }
        paragraphs = [f"# {self.name}", self.model]
        for title, text in sections.items():
            if text:
                paragraphs.append(f"**{title.replace('_', ' ').capitalize()}.** {text}")
        return "\n\n".join(paragraphs) + "\n"


def recipe_words(settings: dict[str, Any]) -> str:
    """The stored settings of a training run in a sentence."""
    low_precision = ", bfloat16 matrix products" if settings["bfloat16"] else ""
    return (
        f"AdamW, {settings['steps']} steps, learning rate {settings['learning_rate']}, betas "
        f"{tuple(settings['betas'])}, weight decay {settings['weight_decay']}, clipped at "
        f"{settings['clip']}, {settings['warmup']} warm-up steps, linear decay over the last "
        f"{settings['decay']:.0%}{low_precision}."
    )


def made_with(record: dict[str, Any], seconds: float) -> str:
    """The versions and the time of a run in a sentence."""
    versions = record["versions"]
    return (
        f"Made with Python {versions['python']} and PyTorch {versions['torch']} in "
        f"{seconds:.0f} CPU-seconds."
    )


def command_words(record: dict[str, Any], what: str = "it") -> str:
    """How to train the model again, in a sentence."""
    return f"`{record['command']}` trains {what} again and compares with the stored record."


def table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table."""
    lines = [columns, ["---"] * len(columns), *rows]
    text = "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
    return text.replace("| --- ", "|---").replace("--- |", "---|")


def curve_words(record: dict[str, Any]) -> str:
    """The snapshots of a record as a table: losses, and the highest scores of any head."""
    rows = [
        (
            snapshot["step"],
            f"{loss_at(record['curve'], snapshot['step']):.2f}",
            f"{best(snapshot['previous_token']):.2f}",
            f"{best(snapshot['induction']):.2f}",
            f"{snapshot['second_copy_loss']:.2f}",
        )
        for snapshot in record["snapshots"]
    ]
    columns = ("step", "training loss", "previous-token", "induction", "second-copy loss")
    return (
        "At each snapshot: the training loss in nats, the highest score of any head, and the loss "
        f"on the second copy of a random block:\n\n{table(columns, rows)}"
    )


def recipe_card(recipe: Recipe, record: dict[str, Any]) -> str:
    """The card of an attention-only model of the zoo."""
    config = recipe.config
    layers = "1 layer" if config.n_layers == 1 else f"{config.n_layers} layers"
    bos = "no BOS token" if config.bos_token is None else f"BOS token {config.bos_token}"
    return Card(
        record["name"],
        f"An attention-only transformer: {layers} of {config.n_heads} heads, "
        f"d_model {config.d_model}, d_head {config.d_head}, d_vocab {config.d_vocab}, "
        f"n_ctx {config.n_ctx}, normalization {config.normalization or 'none'}, {bos}; "
        f"{record['parameters']:,} parameters, stored in half precision.",
        recipe.data,
        recipe.license,
        f"{recipe_words(record['settings'])} Seed {record['seed']}. "
        f"{made_with(record, record['cpu_seconds'])}",
        command_words(record),
        known_heads=f"{heads_in_words(record['found'])}. Held-out loss "
        f"{record['held_out_loss']:.3f} nats. {_spread_words(record.get('spread'))}",
        curve=curve_words(record),
        limits=recipe.limits,
    ).markdown()


def _spread_words(spread: dict[str, Any] | None) -> str:
    if spread is None:
        return "Only this seed was run."
    losses = ", ".join(f"{loss:.2f}" for loss in spread["second_copy_loss"])
    heads = " / ".join(map(heads_in_words, spread["found"]))
    tokens = f", on random tokens drawn from {spread['tokens']}" if "tokens" in spread else ""
    return (
        f"Over seeds {', '.join(map(str, spread['seeds']))} the held-out loss is "
        f"{spread['mean']:.3f} nats with a standard deviation of "
        f"{spread['standard_deviation']:.3f}; the loss on the second copy is {losses}{tokens}. "
        f"Heads of each seed: {heads}."
    )
