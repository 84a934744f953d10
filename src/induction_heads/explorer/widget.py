"""The explorer as a notebook widget. Only this module imports anywidget."""

from dataclasses import replace
from typing import Any
from uuid import uuid4

import anywidget
import traitlets

from induction_heads.explorer.element import (
    PARTS,
    Explorer,
    ModelTexts,
    explorer_style,
    standalone_html,
)
from induction_heads.explorer.script import explorer_script


class ExplorerWidget(anywidget.AnyWidget):
    """A live explorer. `state` holds all its settings as text, which can be saved and restored."""

    _esm = explorer_script() + "export default { render: globalThis.explorer.renderWidget };\n"
    _css = explorer_style()

    state = traitlets.Unicode("").tag(sync=True)
    options = traitlets.Dict().tag(sync=True)
    data = traitlets.Dict().tag(sync=True)
    alt = traitlets.Unicode("").tag(sync=True)
    caption = traitlets.Unicode("").tag(sync=True)

    def __init__(self, explorer: Explorer, data: ModelTexts):
        self._explorer = explorer
        self._models = {key: text for key, text in data.items() if key[0] == "model"}
        options = {name: value for name, value in explorer.options().items() if name != "state"}
        super().__init__(
            options=options,
            state=explorer.opening_state() or "",
            alt=explorer.alt,
            caption=explorer.caption or "",
            data={f"{kind} {name}": text for (kind, name), text in data.items()},
        )

    def _repr_mimebundle_(self, **arguments: Any) -> Any:
        """The widget, and an HTML element for viewers that do not show widgets."""
        result = super()._repr_mimebundle_(**arguments)
        bundle, *metadata = result if isinstance(result, tuple) else (result,)
        if bundle is None:
            return result
        bundle = dict(bundle) | {"text/html": self._html(), "text/plain": self._explorer.alt}
        return (bundle, *metadata) if metadata else bundle

    def _html(self) -> str:
        # Leaving out the snapshots, and the section that needs them, cuts two thirds of the size.
        all_parts = PARTS if self._explorer.parts is None else self._explorer.parts
        parts = tuple(part for part in all_parts if part != "time")
        section = self._explorer.open if self._explorer.open in parts else None
        explorer = replace(
            self._explorer,
            parts=parts,
            open=section,
            state=self.state or None,
            head=None,
            query=None,
        )
        return standalone_html(explorer, self._models, new_id())


def new_id() -> str:
    """An id that no other element of the page has."""
    return f"explorer-{uuid4().hex[:12]}"
