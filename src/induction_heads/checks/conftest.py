"""The same as `-p induction_heads.checks.plugin`, for `pytest src/induction_heads/checks`."""

import pytest

from induction_heads.checks import plugin
from induction_heads.checks.plugin import submissions as submissions


def pytest_addoption(parser: pytest.Parser, pluginmanager: pytest.PytestPluginManager) -> None:
    """Add `--submission DIR`, unless the plugin has."""
    if not pluginmanager.has_plugin("induction_heads.checks.plugin"):
        plugin.pytest_addoption(parser)
