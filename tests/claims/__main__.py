"""`PYTHONPATH=tests python -m claims [PAGE ...]`: sentences with a number that nothing computes.

Without arguments: the pages for teachers, the literature map, the counter-evidence, the glossary
and all notebooks. Notebooks have assertions beside their prose; look there before you add a claim.
"""

import sys

from claims.all_claims import ASSERTED, CLAIMS, NOT_MEASURED
from claims.prose import BOOK, one_line, own_results, page, statements, with_numbers


def main(names: list[str]) -> None:
    parts = [part for claim in CLAIMS for part in claim()[1]]
    parts += [part for each in ASSERTED + NOT_MEASURED for part in each["says"]]
    for name in names:
        if (BOOK / f"{name}.ipynb").exists():
            found = statements(name)
        else:
            found = with_numbers(page(name) if name == "glossary" else own_results(name))
        loose = [
            sentence
            for sentence in found
            if not any(part in sentence or sentence in part for part in map(one_line, parts))
        ]
        print(f"{name}: {len(loose)}")
        for sentence in loose:
            print("   ", sentence)


if __name__ == "__main__":
    pages = ["literature", "counter_evidence", "glossary"]
    pages += [f"teach/{path.stem}" for path in sorted((BOOK / "teach").glob("*.md"))]
    pages += [path.stem for path in sorted(BOOK.glob("*.ipynb"))]
    main(sys.argv[1:] or pages)
