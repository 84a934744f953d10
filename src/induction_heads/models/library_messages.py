"""Progress bars and advice of the libraries, turned off while they load a model."""

from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_progress_bars(bars: bool = False) -> Iterator[None]:
    """Inside, transformers draws no progress bars (unless `bars`) and gives no advice."""
    from transformers.utils import logging

    bars_before, verbosity_before = logging.is_progress_bar_enabled(), logging.get_verbosity()
    (logging.enable_progress_bar if bars else logging.disable_progress_bar)()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        (logging.enable_progress_bar if bars_before else logging.disable_progress_bar)()
        logging.set_verbosity(verbosity_before)
