"""Settings that hold for tests and notebooks alike, from whatever folder pytest is started."""

from pathlib import Path


def pytest_configure(config):
    """Give nbval its sanitize file, so that plain ``pytest --nbval notebooks`` has it too."""
    if getattr(config.option, "nbval", False) and not config.option.nbval_sanitize_with:
        rules = Path(__file__).parent / "tests" / "nbval_sanitize.cfg"
        config.option.nbval_sanitize_with = str(rules)
