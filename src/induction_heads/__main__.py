"""`python -m induction_heads` is the command `induction-heads`."""

from induction_heads.cli.main import main

main(prog_name="induction-heads")
