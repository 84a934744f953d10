"""`python -m mutation [ch04 | NAME …]`: the changed answers that the checks still accept.

Those without a reason in `survivors.toml` are printed as entries of it, to be refused by a better
input or completed with a reason. The exit status is 1 if there is one, or if the table lists a
change that is refused by now.
"""

import sys

from induction_heads.course.registry import Selection, UnknownTarget, select
from mutation.run import RefusedUnchanged, found
from mutation.table import entry, read_table


def main(targets: list[str]) -> int:
    """Print the survivors without a reason, and the entries of the table that are out of date."""
    try:
        selections = [each for target in targets or [None] for each in select(target)]
        bad = sum(_tried(selection) for selection in selections)
    except (UnknownTarget, RefusedUnchanged) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"{bad} to do")
    return int(bad > 0)


def _tried(selection: Selection) -> int:
    """Try the changed answers of a chapter or an exercise. Returns how many entries are wrong."""
    names = {exercise.name for exercise in selection.exercises}
    only = min(names) if len(names) == 1 else None
    results = found(selection.stem, only, say=lambda text: print(text, file=sys.stderr, flush=True))
    accepted = [result for result in results if result.survived]
    reasons = {key: reason for key, reason in read_table().items() if key[0] in names}
    print(f"{selection.stem}: {len(results)} changes, {len(accepted)} accepted")
    for result in accepted:
        if result.key not in reasons:
            print(entry(result.key, ""))
    stale = sorted(reasons.keys() - {result.key for result in accepted})
    for key in stale:
        print("# Refused by now, or no longer a change: take it out of the table.")
        print(entry(key, ""))
    return len(stale) + sum(result.key not in reasons for result in accepted)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
