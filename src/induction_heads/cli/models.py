"""`induction-heads models`: every model that ships with the course."""

import json

import click

from induction_heads.models.descriptions import DESCRIPTIONS


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print name and description as JSON.")
def models(as_json: bool) -> None:
    """List the models that `analyze` and `load_model` know by name."""
    from induction_heads.models.any_order import ANY_ORDER, DESCRIPTION
    from induction_heads.models.hand_built import KINDS

    kinds = KINDS | {ANY_ORDER: DESCRIPTION}
    hand_built = {f"hand-built:{kind}": line for kind, line in kinds.items()}
    if as_json:
        click.echo(json.dumps(DESCRIPTIONS | hand_built, indent=2, ensure_ascii=False))
        return
    for title, lines in (("Trained", DESCRIPTIONS), ("Built by hand", hand_built)):
        width = max(map(len, lines))
        click.echo(f"{title}:")
        for name, line in lines.items():
            click.echo(f"  {name:{width}}  {line}")
    click.echo(
        "\nIn the shell:  induction-heads analyze toy-2l\n"
        'In Python:     from induction_heads import load_model; load_model("toy-2l")\n'
        "toy-2l@100 is its checkpoint nearest to step 100."
    )
