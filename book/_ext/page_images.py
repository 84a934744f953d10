"""Width and height of every image of a page, so that the text does not move as images load."""

import re
from pathlib import Path

from PIL import Image

PIXELS_PER_POINT = 150 / 72
"""A vector figure is as large on the page as a bitmap with 150 dots per inch."""

IMAGE = re.compile(r'<img (?P<rest>(?![^>]*\b(?:width|height)=)[^>]*\bsrc="(?P<source>[^"]+)")')
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
    """The HTML with a size for each image that has none and whose file name is in `paths`."""

    def sized(match: re.Match) -> str:
        path = paths.get(match["source"].rsplit("/", 1)[-1])
        size = image_size(path) if path else None
        if size is None:
            return match[0]
        return f'<img width="{size[0]}" height="{size[1]}" {match["rest"]}'

    return IMAGE.sub(sized, body)
