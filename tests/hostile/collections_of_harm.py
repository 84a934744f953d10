"""Hand-ins that may harm the grader when collected: zips, notebooks, links and names."""

import json
import os
import stat
import struct
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from build import RIGHT

STEM = "ch99_trial"
FILE = f"{STEM}.py"
WORKS = "works"
HAND_INS: list["HandIn"] = []


@dataclass(frozen=True)
class HandIn:
    """`write(folder)` adds a submission to the folder of a class.

    `outcome` is "works", or a part of the expected error.
    """

    name: str
    tries: str
    outcome: str
    write: Callable[[Path], None]


def hand_in(outcome: str) -> Callable[[Callable[[Path], None]], None]:
    """Register a function as a hand-in with its name, its docstring and the expected outcome."""

    def register(write: Callable[[Path], None]) -> None:
        HAND_INS.append(HandIn(write.__name__, write.__doc__ or "", outcome, write))

    return register


def zipped(folder: Path, *files: tuple[str | zipfile.ZipInfo, str | bytes]) -> Path:
    path = folder / "mallory.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in files:
            file.writestr(name, content)
    return path


def notebook(folder: Path, *cells: str, **extra: object) -> None:
    code = [{"cell_type": "code", "source": cell} for cell in cells]
    content = {"cells": code, "nbformat": 4, "metadata": {}, **extra}
    (folder / "mallory.ipynb").write_text(json.dumps(content))


def own(folder: Path) -> Path:
    path = folder / "mallory"
    path.mkdir()
    return path


# Zips.


@hand_in(WORKS)
def zip_with_one_folder(folder: Path) -> None:
    """An ordinary zip, as a file manager makes it."""
    zipped(folder, (f"homework/{FILE}", RIGHT), (f"__MACOSX/homework/._{FILE}", b"\0\5\x16\7"))


@hand_in("leads out of the zip")
def zip_with_parents(folder: Path) -> None:
    """Entries that climb out of the folder where they are unpacked."""
    zipped(folder, (FILE, RIGHT), (f"../ada/{FILE}", "x"), ("../../grades.csv", "x"))


@hand_in("leads out of the zip")
def zip_with_absolute_path(folder: Path) -> None:
    """An entry with a path from the root."""
    zipped(folder, (FILE, RIGHT), (f"{folder}/ada/{FILE}", "x"))


@hand_in("leads out of the zip")
def zip_with_windows_paths(folder: Path) -> None:
    """Entries that climb out on Windows."""
    zipped(folder, (FILE, RIGHT), (r"..\..\grades.csv", "x"), (r"C:\grades.csv", "x"))


@hand_in("a link")
def zip_with_link(folder: Path) -> None:
    """An entry that is a link to another student's file."""
    link = zipfile.ZipInfo(FILE)
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    zipped(folder, (link, f"../ada/{FILE}"))


@hand_in("a link or a device")
def zip_with_device(folder: Path) -> None:
    """An entry that is a device."""
    device = zipfile.ZipInfo(FILE)
    device.create_system, device.external_attr = 3, (stat.S_IFCHR | 0o666) << 16
    zipped(folder, (device, ""))


@hand_in("unpacks to far more than its packed size")
def zip_bomb(folder: Path) -> None:
    """40 MB of zeros in 40 kB, under the expected file name."""
    zipped(folder, (FILE, b"\0" * 40 * 2**20))


@hand_in("unpack to more than")
def zip_bomb_in_parts(folder: Path) -> None:
    """Forty entries that declare 40 MB each."""
    path = zipped(folder, (FILE, RIGHT), *((f"{n}.txt", "x" * 64) for n in range(40)))
    data, start = bytearray(path.read_bytes()), 0
    while (start := data.find(b"PK\1\2", start)) >= 0:
        struct.pack_into("<I", data, start + 24, 40 * 2**20)
        start += 4
    path.write_bytes(data)


@hand_in("damaged")
def zip_with_lying_size(folder: Path) -> None:
    """An entry that is a thousand times larger than it declares."""
    path = zipped(folder, (FILE, RIGHT + "#" * 900_000))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 22), (b"PK\1\2", 24)):
        struct.pack_into("<I", data, data.find(signature) + offset, 900)
    path.write_bytes(data)


@hand_in("more than")
def zip_with_many_entries(folder: Path) -> None:
    """A directory of a hundred thousand files without the files."""
    entry = struct.pack("<4s6H3L5H2L", b"PK\1\2", 20, 20, *[0] * 7, len(FILE), *[0] * 6)
    table = (entry + FILE.encode()) * 100_000
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, 34_464, 34_464, len(table), 0, 0)
    (folder / "mallory.zip").write_bytes(table + end)


@hand_in("encrypted")
def zip_with_password(folder: Path) -> None:
    """A zip with a password."""
    path = zipped(folder, (FILE, RIGHT))
    data = bytearray(path.read_bytes())
    for signature, offset in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        data[data.find(signature) + offset] |= 1
    path.write_bytes(data)


@hand_in("two files with the same name")
def zip_with_twins(folder: Path) -> None:
    """Two entries with the same name: a reader and the grader might use different ones."""
    path = zipped(folder, (FILE, RIGHT), (FILE.replace("9", "8"), RIGHT))
    path.write_bytes(path.read_bytes().replace(FILE.replace("9", "8").encode(), FILE.encode()))


@hand_in("not a zip")
def zip_that_is_text(folder: Path) -> None:
    """A text with the name of a zip."""
    (folder / "mallory.zip").write_text(RIGHT)


@hand_in("not a zip")
def zip_that_is_empty(folder: Path) -> None:
    """An empty file with the name of a zip."""
    (folder / "mallory.zip").write_bytes(b"")


@hand_in("damaged")
def zip_with_broken_data(folder: Path) -> None:
    """A zip whose data is damaged."""
    path = zipped(folder, (FILE, RIGHT))
    data = bytearray(path.read_bytes())
    data[40:60] = b"\xff" * 20
    path.write_bytes(data)


@hand_in(WORKS)
def zip_in_a_zip(folder: Path) -> None:
    """Two equal zips in a zip, as a file manager and a course system may make them."""
    inside = zipped(folder, (FILE, RIGHT)).read_bytes()
    zipped(folder, ("inner.zip", inside), ("inner2.zip", inside))


@hand_in("There is no file")
def zips_without_end(folder: Path) -> None:
    """Zips in zips, deeper than anybody packs them."""
    inside = zipped(folder, (FILE, RIGHT)).read_bytes()
    for _ in range(60):
        inside = zipped(folder, ("inner.zip", inside)).read_bytes()


@hand_in("unpacks to far more than its packed size")
def zip_bomb_in_a_zip(folder: Path) -> None:
    """A zip with a bomb in it, which only a second look finds."""
    inside = zipped(folder, (FILE, b"\0" * 40 * 2**20)).read_bytes()
    zipped(folder, ("inner.zip", inside))


@hand_in("There is no file")
def many_zips_in_a_zip(folder: Path) -> None:
    """Two hundred zips in a zip."""
    inside = zipped(folder, ("x.txt", "x")).read_bytes()
    zipped(folder, *((f"{number}.zip", inside) for number in range(200)))


@hand_in(WORKS)
def deep_folders(folder: Path) -> None:
    """A hundred folders in each other, beside the file."""
    path = own(folder)
    (path / FILE).write_text(RIGHT)
    (path / "/".join("d" * 100)).mkdir(parents=True)


@hand_in(WORKS)
def many_code_files(folder: Path) -> None:
    """A hundred long files of code that might have answers."""
    path = own(folder)
    (path / FILE).write_text(RIGHT)
    for number in range(100):
        (path / f"{number}.py").write_text("x = [1, 2, 3]\n" * 20_000)


@hand_in(WORKS)
def zip_with_folders_only(folder: Path) -> None:
    """A zip in which a folder has the name of the file."""
    zipped(folder, (f"{FILE}/", ""), (f"deep/er/{FILE}", RIGHT))


@hand_in("leads out of the zip")
def zip_with_null_in_name(folder: Path) -> None:
    """A name that ends early for programs written in C."""
    path = zipped(folder, (f"{FILE}_evil.txt", RIGHT))
    path.write_bytes(path.read_bytes().replace(b"y_evil.txt", b"y\0evil.txt"))


# Folders and links.


@hand_in("There is no file")
def empty_folder(folder: Path) -> None:
    """Nothing at all."""
    own(folder)


@hand_in("a link")
def link_to_a_file(folder: Path) -> None:
    """A link to another student's file."""
    (own(folder) / FILE).symlink_to(f"../ada/{FILE}")


@hand_in("There is no file")
def link_to_a_folder_inside(folder: Path) -> None:
    """A subfolder that is a link to another student."""
    (own(folder) / "work").symlink_to("../ada")


@hand_in("a link")
def link_to_a_student(folder: Path) -> None:
    """A submission that is a link to another student's."""
    (folder / "mallory").symlink_to("ada")


@hand_in("not an ordinary file")
def pipe(folder: Path) -> None:
    """A named pipe, which blocks a reader forever."""
    os.mkfifo(own(folder) / FILE)


@hand_in("not an ordinary file")
def folder_with_the_name(folder: Path) -> None:
    """A folder named like a zip, with a pipe in place of the file."""
    path = folder / "mallory.zip"
    path.mkdir()
    os.mkfifo(path / FILE)


@hand_in("larger than")
def large_file(folder: Path) -> None:
    """A file of 200 MB, with a hole in it that takes no disk."""
    with open(own(folder) / FILE, "wb") as file:
        file.truncate(200 * 2**20)


@hand_in("more than")
def many_files(folder: Path) -> None:
    """Six thousand files."""
    path = own(folder)
    (path / FILE).write_text(RIGHT)
    for number in range(6000):
        (path / f"{number}.txt").touch()


# Text.


@hand_in(WORKS)
def byte_order_mark(folder: Path) -> None:
    """A BOM before the first character."""
    (own(folder) / FILE).write_bytes(b"\xef\xbb\xbf" + RIGHT.encode())


@hand_in(WORKS)
def windows_lines(folder: Path) -> None:
    """Lines that end with CR LF."""
    (own(folder) / FILE).write_bytes(RIGHT.replace("\n", "\r\n").encode())


@hand_in("not Python source")
def utf_16(folder: Path) -> None:
    """UTF-16, as some editors save it."""
    (own(folder) / FILE).write_bytes(RIGHT.encode("utf-16"))


@hand_in("not Python source")
def not_utf_8(folder: Path) -> None:
    """Bytes that are not UTF-8."""
    (own(folder) / FILE).write_bytes(b"# \xff\xfe\n" + RIGHT.encode())


@hand_in("declares the encoding")
def slow_codec(folder: Path) -> None:
    """An encoding that takes a minute to decode."""
    (own(folder) / FILE).write_bytes(b"# coding: punycode\n-" + b"b9a" * 150_000)


# Notebooks.


@hand_in(WORKS)
def notebook_with_magics(folder: Path) -> None:
    """A notebook with lines that only a notebook understands."""
    notebook(folder, "%matplotlib inline\n!pip install torch\n" + RIGHT, "%%bash\nrm -rf /", "x?")


@hand_in(WORKS)
def notebook_with_outputs(folder: Path) -> None:
    """A notebook with scripts in its metadata and an unknown field."""
    notebook(folder, RIGHT, metadata={"<script>": "alert(1)"}, evil=["\x1b[2J"])


@hand_in("not a Jupyter notebook")
def broken_notebook(folder: Path) -> None:
    """A notebook that ends in the middle."""
    (folder / "mallory.ipynb").write_text('{"cells": [{"cell_type": "code", "source": ["def ')


@hand_in("not a Jupyter notebook")
def notebook_of_other_shape(folder: Path) -> None:
    """JSON with the wrong types for a notebook."""
    (folder / "mallory.ipynb").write_text('{"cells": [1, null, {"cell_type": "code"}]}')


@hand_in("not a Jupyter notebook")
def notebook_nested_deeply(folder: Path) -> None:
    """JSON nested a million levels deep."""
    (folder / "mallory.ipynb").write_text("[" * 10**6)


@hand_in("larger than")
def large_notebook(folder: Path) -> None:
    """A notebook of 50 MB."""
    notebook(folder, RIGHT, "x = 1", padding="x" * 50 * 2**20)


@hand_in("")
def notebook_of_one_line(folder: Path) -> None:
    """Half a megabyte of statements in one line."""
    notebook(folder, "x=1;" * 130_000)


@hand_in("")
def notebook_of_a_long_chain(folder: Path) -> None:
    """Assignments that depend on each other, in the slowest order to resolve."""
    chain = "".join(f"a{n} = a{n + 1}\n" for n in range(1500))
    notebook(folder, f"def row_sums(matrix):\n    return a0\n\n{chain}")


@hand_in("")
def notebook_of_deep_code(folder: Path) -> None:
    """Code nested so deeply that parsing it might exhaust the judge's stack."""
    notebook(folder, "x = " + "1+" * 150_000 + "1", "y = " + "-" * 150_000 + "1", "(" * 99_999)
