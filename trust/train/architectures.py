"""Finds models.py by its place: a project that uses this one may have a models.py of its own."""

import importlib.util
from pathlib import Path

_spec = importlib.util.spec_from_file_location(
    "trust_models", Path(__file__).parents[2] / "models.py"
)
models = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(models)
