"""Command lines out of what is registered: options of the settings' own fields."""

from __future__ import annotations

import argparse
import json
import types
import typing
from typing import Any

import pydantic

from utils import datasets, training


def option(name: str) -> str:
    """Return the option of a setting.

    >>> option("learning_rate")
    '--learning-rate'
    """
    return f"--{name.replace('_', '-')}"


def add_data(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    """Give a parser the options that name faces: ``--data``, ``--path``, ``--classes`` and such."""
    parser.add_argument(
        "--data",
        default=default,
        choices=datasets.LOADERS,
        help="; ".join(f"{name}: {datasets.LOADERS[name].help}" for name in datasets.LOADERS)
        + f" (default: {default or 'what the network was trained on'})",
    )
    parser.add_argument("--path", help="where the data lie, if not in data/raw/")
    parser.add_argument(
        "--classes",
        type=lambda text: tuple(name.strip() for name in text.split(",")),
        metavar="A,B,…",
        help="what numbered folders or labels mean, in their order (--data folder)",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="EXPRESSION",
        help="leave this expression out (for FER2013's seven in FER+: contempt)",
    )


def load_data(
    asked: argparse.Namespace, name: str | None = None, *, size: int | None = None
) -> datasets.FaceDataset:
    """Load the faces that a command line names.

    Parameters
    ----------
    asked : argparse.Namespace
        What `add_data`'s options were given.
    name : str, optional
        The data set where the command line names none.
    size : int, optional
        Side to which somebody's own pictures are brought, in pixels.
    """
    options = {"classes": asked.classes} if asked.classes else {}
    name = asked.data or name
    if name == "folder" and size:
        options["size"] = size
    return datasets.load(name, asked.path, **options)


def add_settings(parser: argparse.ArgumentParser, *, leave_out: tuple[str, ...] = ()) -> None:
    """Give a parser an option for each field of `training.Settings`, with the field's own help.

    An option that is not named is None: the network's recipe decides.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Or one of its groups.
    leave_out : tuple of str
        Fields that the command line names in its own way.
    """
    for name, (kind, description) in training.fields().items():
        if name in leave_out:
            continue
        choices: dict[str, Any] = {"default": None, "help": description.replace("%", "%%")}
        origin = typing.get_origin(kind)
        if kind is bool:
            choices["action"] = argparse.BooleanOptionalAction
        elif origin is typing.Literal:
            values = typing.get_args(kind)
            choices |= {"choices": values, "type": type(values[0])}
        elif origin is dict:
            choices |= {"type": json_object, "metavar": "JSON"}
        elif origin is tuple:
            choices |= {"nargs": "+", "metavar": "NETWORK"}
        else:
            choices |= {"type": kind, "metavar": {int: "N", float: "X"}.get(kind, "NAME")}
        parser.add_argument(option(name), **choices)


def named_settings(asked: argparse.Namespace) -> dict[str, Any]:
    """Return the settings that a command line named."""
    values = vars(asked)
    return {name: values[name] for name in training.fields() if values.get(name) is not None}


def json_object(text: str) -> dict[str, Any]:
    """Read an option's JSON object; anything else is a wrong command line.

    >>> json_object('{"dropout": 0.3}')
    {'dropout': 0.3}
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, found {type(value).__name__}")
    return value


def complaint(error: ValueError) -> str:
    """Write what is wrong with settings as one sentence that names the options."""
    if not isinstance(error, pydantic.ValidationError):
        return str(error)
    parts = []
    for one in error.errors():
        place = option(str(one["loc"][0])) + ": " if one["loc"] else ""
        message = one["msg"].removeprefix("Value error, ")
        given = "" if isinstance(one["input"], dict | types.NoneType) else f", not {one['input']!r}"
        parts.append(f"{place}{message[0].lower()}{message[1:]}{given if place else ''}")
    return "; ".join(parts)
