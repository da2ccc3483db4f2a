"""The two exceptions of this project: each names the file, the row, and what was expected."""


class DataError(ValueError):
    """Data that cannot be read as what they claim to be."""


class ModelError(ValueError):
    """A model file or record that is none of ours, or does not fit what is asked of it."""
