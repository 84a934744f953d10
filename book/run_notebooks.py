"""Run every notebook of the book, two at a time, into the cache that the site build reads.

A notebook runs again when its code changes, when anything in the package, the model zoo or the
pinned environment changes, and never otherwise. Run from anywhere: `python book/run_notebooks.py`.
With `--left` it only lists the notebooks that would run now.
"""

import hashlib
import multiprocessing
import os
import shutil
import sys
import time
from pathlib import Path

import nbformat
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent
BUILD = ROOT / "_build"
CACHE = BUILD / ".jupyter_cache"
STAMP = BUILD / "inputs.sha256"
PAGE_FILES = (".js", ".css")
"""The explorer's files: pages load them, and no output of a notebook holds them."""
CELL_TIMEOUT = 300  # seconds
AT_A_TIME = 2


def input_files() -> list[Path]:
    """Everything besides a notebook's own code that can change what the notebook shows."""
    package = (ROOT / "src" / "induction_heads").rglob("*")
    files = [
        file
        for file in package
        if file.is_file() and "__pycache__" not in file.parts and file.suffix not in PAGE_FILES
    ]
    settings = [ROOT / "requirements.txt", BOOK / "matplotlibrc"]
    return sorted(files + [file for file in settings if file.exists()])


def inputs_hash() -> str:
    """A fingerprint of the Python version and of the names and contents of the input files."""
    digest = hashlib.sha256(sys.version.encode())
    for file in input_files():
        digest.update(file.relative_to(ROOT).as_posix().encode() + b"\0")
        digest.update(hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()


def forget_outdated_results() -> None:
    """Delete cached runs, and pages read from them, if the inputs are not those of last time."""
    fingerprint = inputs_hash()
    if STAMP.exists() and STAMP.read_text() == fingerprint:
        return
    for folder in (CACHE, BUILD / ".doctrees"):
        shutil.rmtree(folder, ignore_errors=True)
    BUILD.mkdir(exist_ok=True)
    STAMP.write_text(fingerprint)


def run(path: Path) -> tuple[Path, nbformat.NotebookNode, float, str | None]:
    """Run one notebook; return it with its outputs, the seconds taken, and the error if any."""
    notebook = nbformat.read(path, as_version=4)
    kernel = dict(notebook.metadata.get("kernelspec", {}))
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT,
        record_timing=False,  # Times in the cells would hide the run from the cache.
        resources={"metadata": {"path": str(BOOK)}},
        # A kernel on this machine only: its remark on unencrypted connections would alarm readers.
        # Figures as vectors: a fifth of the bytes, and sharp at any size.
        extra_arguments=[
            "--IPKernelApp.log_level=ERROR",
            "--InlineBackend.figure_formats={'svg'}",
        ],
    )
    start = time.perf_counter()
    error = None
    try:
        client.execute()
    except (CellExecutionError, CellTimeoutError, DeadKernelError) as failure:
        error = str(failure)
    # Running may write another name of the kernel; the cache goes by what the file says.
    notebook.metadata["kernelspec"] = kernel
    return path, notebook, time.perf_counter() - start, error


def is_cached(cache, path: Path) -> bool:
    """Whether the cache holds a run of exactly this code."""
    try:
        cache.match_cache_notebook(nbformat.read(path, as_version=4))
    except KeyError:
        return False
    return True


def all_notebooks() -> list[Path]:
    """Every notebook of the book, in order."""
    return sorted(p for p in BOOK.rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)


def not_run() -> list[Path]:
    """The notebooks that have not run without an error with this code and these inputs."""
    if not STAMP.exists() or STAMP.read_text() != inputs_hash():
        return all_notebooks()
    cache = get_cache(CACHE)
    return [path for path in all_notebooks() if not is_cached(cache, path)]


def main() -> int:
    """Run what is not cached. Returns 1 if a notebook failed, else 0."""
    # The site's pages load the hover-figure script once, so the figures need not carry it.
    os.environ["INDUCTION_HEADS_BOOK"] = "1"
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    forget_outdated_results()
    cache = get_cache(CACHE)
    waiting = not_run()
    print(f"{len(all_notebooks())} notebooks, {len(waiting)} to run", flush=True)
    failures = 0
    start = time.perf_counter()
    with multiprocessing.get_context("spawn").Pool(min(AT_A_TIME, max(1, len(waiting)))) as pool:
        for path, notebook, seconds, error in pool.imap_unordered(run, waiting):
            if error is not None:
                failures += 1
                print(f"FAILED {path.relative_to(ROOT)}\n{error}", file=sys.stderr, flush=True)
                continue
            record = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(record, check_validity=False, overwrite=True)
            print(f"ran {path.relative_to(ROOT)} in {seconds:.0f} s", flush=True)
    if waiting:
        print(f"{len(waiting)} notebooks in {time.perf_counter() - start:.0f} s", flush=True)
    return 1 if failures else 0


if __name__ == "__main__":
    if sys.argv[1:] == ["--left"]:
        print(*(path.relative_to(ROOT) for path in not_run()))
    else:
        sys.exit(main())
