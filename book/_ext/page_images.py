"""Images of a page: their size, so that the text does not move, and a link to enlarge each."""

import re
from pathlib import Path

from PIL import Image

PIXELS_PER_POINT = 150 / 72
"""A vector figure is as large on the page as a bitmap with 150 dots per inch."""

IMAGE = re.compile(
    r"(?P<link><a\b[^>]*>\s*)?<img (?P<rest>(?![^>]*\b(?:width|height)=)[^>]*"
    r'\bsrc="(?P<source>[^"]+)"[^>]*>)'
)
POINTS = re.compile(r'<svg[^>]*? width="([\d.]+)pt" height="([\d.]+)pt"')


def image_size(path: Path) -> tuple[int, int] | None:
    """Width and height in pixels of the image at `path`; None for an SVG that is not in points."""
    if path.suffix != ".svg":
        with Image.open(path) as image:
            return image.size
    points = POINTS.search(path.read_text(encoding="utf-8"))
    if points is None:
        return None
    width, height = (round(float(size) * PIXELS_PER_POINT) for size in points.groups())
    return width, height


def with_sizes(body: str, paths: dict[str, Path]) -> str:
    """The HTML with a size for each image that has none and whose file name is in `paths`.

    Such an image also becomes a link to its file, which fills the screen, unless it is in a link.
    """

    def sized(match: re.Match) -> str:
        path = paths.get(match["source"].rsplit("/", 1)[-1])
        size = image_size(path) if path else None
        if size is None:
            return match[0]
        image = f'<img width="{size[0]}" height="{size[1]}" {match["rest"]}'
        if match["link"]:
            return match["link"] + image
        return f'<a class="enlarge" href="{match["source"]}">{image}</a>'

    return IMAGE.sub(sized, body)
