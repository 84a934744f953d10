"""A figure as a PNG image with its alternative text and caption, for a file or for a page."""

import base64
import io
from dataclasses import dataclass

from matplotlib.figure import Figure


@dataclass(frozen=True)
class Picture:
    """A figure of a page: its file name, PNG bytes, alternative text and caption."""

    name: str
    png: bytes
    alt: str
    caption: str

    @property
    def address(self) -> str:
        """The image as a `data:` address, for a page that needs no other file."""
        return f"data:image/png;base64,{base64.b64encode(self.png).decode()}"


def png(figure: Figure) -> bytes:
    """The figure as the bytes of a PNG file."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
