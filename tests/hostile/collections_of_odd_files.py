"""Hand-ins that may harm the grader when collected: odd names of files, and odd kinds of files."""

import os
import unicodedata
from pathlib import Path
from socket import AF_UNIX
from socket import socket as Socket

from build import RIGHT
from collections_of_harm import FILE, HAND_INS, STEM, WORKS, HandIn, hand_in, own, zipped

__all__ = ["FILE", "HAND_INS", "STEM", "WORKS", "HandIn"]


@hand_in("has 2 files for")
def terminal_codes_in_file_names(folder: Path) -> None:
    """Two files with different answers, whose names clear the screen and turn the line around."""
    for name in ("one", "two"):
        path = own(folder) if name == "one" else folder / "mallory"
        (path / f"\x1b[2J{name}").mkdir()
        (path / f"\x1b[2J{name}" / f"\u202e{FILE}").write_text(f"{RIGHT}# {name}\n")


@hand_in(WORKS)
def marks_in_file_names(folder: Path) -> None:
    """Files whose names have a hundred marks on one letter, which cover the lines around."""
    path, marks = own(folder), "\u0301" * 100
    (path / FILE).write_text(f"import a{marks}\n{RIGHT}")
    (path / unicodedata.normalize("NFKC", f"a{marks}.py")).write_text("x = 1\n")
    (path / f"z{marks} {FILE}").write_text(RIGHT)


@hand_in(WORKS)
def closed_files(folder: Path) -> None:
    """A folder and a file that nobody may read, as some archives contain them."""
    path = own(folder)
    (path / FILE).write_text(RIGHT)
    (path / "closed").mkdir(mode=0)
    (path / "closed.py").write_text(RIGHT)
    (path / "closed.py").chmod(0)


@hand_in("cannot be read")
def socket(folder: Path) -> None:
    """A socket with the name of the file."""
    place = os.open(own(folder), os.O_RDONLY)
    with Socket(AF_UNIX) as listening:
        listening.bind(f"/proc/self/fd/{place}/{FILE}")  # A name of at most 108 bytes.
    os.close(place)


@hand_in("")
def code_of_many_names(folder: Path) -> None:
    """The largest file that is read, with as many parts as fit in: reading it takes much memory."""
    (own(folder) / FILE).write_text(f"x = [{'a,' * 262_000}]\n")


@hand_in(WORKS)
def names_of_a_long_way(folder: Path) -> None:
    """Zipped files whose names have twenty thousand folders, and names that are hard to fold."""
    odd = "\u0130\ufdfa" * 3_000 + ".py"
    zipped(folder, (FILE, RIGHT), (f"{'a/' * 20_000}x.py", "x = 1"), (odd, "x = 1"))
