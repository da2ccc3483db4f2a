"""Optuna, imported and run without a word on stderr."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator


def optuna_package():
    """Import Optuna, which warns in a notebook that has no widgets for its progress bar."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import optuna
    return optuna


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Keep Optuna from writing to stderr: what matters comes back as a table or an error."""
    optuna = optuna_package()
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            # The heartbeat is "experimental" since 2021.
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            yield
    finally:
        optuna.logging.set_verbosity(before)
