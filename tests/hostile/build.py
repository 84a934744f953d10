"""Submissions that cannot be stored as Python text files. They are built when needed."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

RIGHT = """\
def row_sums(matrix):
    return matrix.sum(1)


def doubled(number):
    return 2 * number
"""

PASSED = "row_sums=passed, doubled=passed"
ERROR = "row_sums=error, doubled=error"
FORMS: list["Form"] = []


@dataclass(frozen=True)
class Form:
    """A submission built by `write(path)`, where `path` is the expected file."""

    name: str
    tries: str
    verdict: str
    messages: tuple[str, ...]
    write: Callable[[Path], None]


def form(verdict: str, *messages: str) -> Callable[[Callable[[Path], None]], None]:
    """Register a function as a form with its name, its docstring and the expected verdict."""

    def register(write: Callable[[Path], None]) -> None:
        FORMS.append(Form(write.__name__, write.__doc__ or "", verdict, messages, write))

    return register


def text(name: str, source: str, tries: str, verdict: str = ERROR, *messages: str) -> None:
    """Register a form that is one text file."""
    content = source.encode()
    FORMS.append(Form(name, tries, verdict, messages, lambda path: _write(path, content)))


def encoded(name: str, content: bytes, tries: str, verdict: str = ERROR, *messages: str) -> None:
    """Register a form that is one file of bytes."""
    FORMS.append(Form(name, tries, verdict, messages, lambda path: _write(path, content)))


def _write(path: Path, content: bytes) -> None:
    path.write_bytes(content)


# Text as editors write it. All of these must work.

encoded("byte_order_mark", b"\xef\xbb\xbf" + RIGHT.encode(), "Starts with a BOM.", PASSED)
text("windows_lines", RIGHT.replace("\n", "\r\n"), "Ends its lines with CR LF.", PASSED)
text("old_lines", RIGHT.replace("\n", "\r"), "Ends its lines with CR alone.", PASSED)
text("no_last_newline", RIGHT.rstrip(), "Lacks the last newline.", PASSED)
encoded(
    "latin_1",
    b'# coding: latin-1\nNAME = "\xe9\xfc"\n' + RIGHT.encode(),
    "Is written in Latin-1 and says so.",
    PASSED,
)

# Bytes that are not text.

encoded("not_utf_8", b"# \xe9\xff\n" + RIGHT.encode(), "Is Latin-1 without saying so.")
encoded("utf_16", RIGHT.encode("utf-16"), "Is written in UTF-16.")
encoded("utf_32", RIGHT.encode("utf-32"), "Is written in UTF-32.")
encoded("null_bytes", RIGHT.encode() + b"\0\0\0", "Has null bytes at its end.")
encoded("program", b"\x7fELF\x02\x01\x01" + bytes(range(256)) * 40, "Is a compiled program.")
encoded("bytecode", b"\xa7\r\r\n" + bytes(12) + b"\xe3" * 99, "Is bytecode with the name of text.")
encoded("too_large", RIGHT.encode() + b"#" * 2**21, "Is a file of 2 MB.", ERROR, "larger than")

# Encodings of Python that are traps when a file is decoded.

for _name, _codec, _body in (
    ("codec_rot13", "rot13", b"qrs qbhoyrq(ahzore): erghea 2 * ahzore"),
    ("codec_zlib", "zlib", b"x\x9c\x03\x00\x00\x00\x00\x01"),
    ("codec_undefined", "undefined", RIGHT.encode()),
    ("codec_unknown", "no-such-codec", RIGHT.encode()),
    ("codec_idna", "idna", b"x" * 9999),
    ("codec_surrogates", "utf-7", b'"+2AA-"\n'),
    ("codec_escapes", "unicode_escape", b'"\\ud800"\n'),
):
    encoded(
        _name, b"# coding: %s\n" % _codec.encode() + _body, f'Declares the encoding "{_codec}".'
    )
encoded(
    "codec_slow",
    b"# coding: punycode\n-" + b"b9a" * 150_000,
    'Declares "punycode", which takes a minute to decode.',
)

# Text that is not Python.

text("syntax_error", "def row_sums(matrix):\n    return matrix.\n", "Is not valid Python.")
text("half_a_function", "def row_sums(matrix):", "Ends in the middle of a function.")
text("open_string", '"""\n' + RIGHT, "Opens a string that never ends.")
text(
    "mixed_indentation",
    "def row_sums(matrix):\n\tif True:\n        return matrix.sum(1)\n",
    "Mixes tabs and spaces.",
)
text("typographic_quotes", "NAME = “row”\n" + RIGHT, "Has quotes from a word processor.")
text("hard_spaces", RIGHT.replace("    ", "\u00a0 \u00a0 "), "Has non-breaking spaces.")
text("python_2", 'print "hello"\n' + RIGHT, "Is written in Python 2.")
text("merge_conflict", f"<<<<<<< HEAD\n{RIGHT}=======\n", "Contains a merge conflict.")
text(
    "terminal_codes_in_syntax_error",
    'x = "\x1b[2J\x1b[32mpassed\x1b[0m\n',
    "Has an error in a line that clears the screen.",
)
text("many_parentheses", "x = " + "(" * 200_000, "Opens 200,000 parentheses.")
text("deep_expression", "x = " + "-" * 200_000 + "1\n", "Nests 200,000 signs in one expression.")
text("long_sum", "x = " + "1+" * 200_000 + "1\n", "Adds 200,000 numbers in one expression.")
text("long_number", "x = " + "9" * 100_000 + "\n", "Writes a number of 100,000 digits.")
text("many_levels", "".join(f"{' ' * i}if 1:\n" for i in range(150)), "Is 150 levels deep.")

# Nothing, or something else, in place of the file.

encoded("empty_file", b"", "Is an empty file.", ERROR, "is not defined in")
text("only_comments", "# to do\n", "Contains only a comment.", ERROR, "is not defined in")


@form(ERROR, "There is no file")
def empty_submission(path: Path) -> None:
    """Submits nothing."""


@form(ERROR, "There is no file")
def other_file_name(path: Path) -> None:
    """Submits the right functions in a file with another name."""
    path.with_name(f"{path.stem} (1).py").write_text(RIGHT)


@form(ERROR, "There is no file")
def folder_for_a_file(path: Path) -> None:
    """Has a folder with the name of the file."""
    path.mkdir()
    (path / "__init__.py").write_text(RIGHT)


@form(ERROR, "There is no file")
def pipe_for_a_file(path: Path) -> None:
    """Has a named pipe with the name of the file, which blocks a reader forever."""
    os.mkfifo(path)


@form(ERROR, "There is no file")
def link_to_a_device(path: Path) -> None:
    """Has a link to an endless device with the name of the file."""
    path.symlink_to("/dev/zero")


@form(ERROR, "There is no file")
def link_to_nothing(path: Path) -> None:
    """Has a dangling link with the name of the file."""
    path.symlink_to("nowhere.py")


@form(ERROR, "There is no file")
def link_to_itself(path: Path) -> None:
    """Has a link to itself with the name of the file."""
    path.symlink_to(path.name)


@form(PASSED)
def files_with_known_names(path: Path) -> None:
    """Adds files that Python and pytest would load. Right answers still count."""
    path.write_text(RIGHT)
    trap = "import os\nos._exit(9)\n"
    for name in ("torch", "json", "random", "sitecustomize", "usercustomize", "conftest", "site"):
        path.with_name(f"{name}.py").write_text(trap)
    for package in ("induction_heads", "safetensors"):
        (path.parent / package).mkdir()
        (path.parent / package / "__init__.py").write_text(trap)
    path.with_name("trap.pth").write_text("import os; os._exit(9)\n")
    path.with_name("pyvenv.cfg").write_text("home = /nowhere\n")
