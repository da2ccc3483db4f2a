"""Command-line options built from what is registered and from the settings' own fields."""

from __future__ import annotations

import argparse
import json
import shlex
import types
import typing
from collections.abc import Mapping
from typing import Any

import pydantic

from utils import datasets, training


def option(name: str) -> str:
    """Return the option for a setting.

    >>> option("learning_rate")
    '--learning-rate'
    """
    return f"--{name.replace('_', '-')}"


def written(values: Mapping[str, Any]) -> str:
    """Write options as on a command line.

    >>> written({"without": ["sad", "fear"], "flip": False, "rows": 9})
    '--without sad --without fear --no-flip --rows 9'
    """
    words = []
    for name, value in values.items():
        if isinstance(value, bool):
            words.append(option(name) if value else option(f"no_{name}"))
        else:
            value = json.dumps(value) if isinstance(value, dict) else value
            value = ",".join(value) if name == "classes" else value
            several = value if isinstance(value, list | tuple) else [value]
            if name == "without":  # one option each
                words += [word for one in several for word in (option(name), one)]
            else:
                words += [option(name), *map(str, several)]
    return shlex.join(words)


def add_data(parser: argparse.ArgumentParser, *, default: str | None) -> None:
    """Add the options that name faces to a parser: ``--data``, ``--path``, ``--classes``, etc."""
    parser.add_argument(
        "--data",
        default=default,
        choices=datasets.LOADERS,
        help="; ".join(f"{name}: {datasets.LOADERS[name].help}" for name in datasets.LOADERS)
        + f" (default: {default or 'what the network was trained on'})",
    )
    parser.add_argument("--path", help="where the data is, if not in data/raw/")
    parser.add_argument(
        "--classes",
        type=lambda text: tuple(name.strip() for name in text.split(",")),
        metavar="A,B,…",
        help="names of numbered folders or labels, in order (--data folder)",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="EXPRESSION",
        help="leave this expression out (for FER2013's seven in FER+: contempt)",
    )


def load_data(
    asked: argparse.Namespace,
    name: str | None = None,
    *,
    size: int | None = None,
    votes: bool = False,
) -> datasets.FaceDataset:
    """Load the faces that a command line names.

    Parameters
    ----------
    asked : argparse.Namespace
        The values of `add_data`'s options.
    name : str, optional
        The data set if the command line names none.
    size : int, optional
        Side to which your own pictures are resized, in pixels.
    votes : bool
        Whether FER2013's faces need FER+'s votes as well as labels.
    """
    options = {"classes": asked.classes} if asked.classes else {}
    name = asked.data or name
    if votes and name == "fer2013" and not options:
        return datasets.beside_fer2013(asked.path)
    if name == "folder" and size:
        options["size"] = size
    return datasets.load(name, asked.path, **options)


def add_settings(parser: argparse.ArgumentParser, *, leave_out: tuple[str, ...] = ()) -> None:
    """Add an option to a parser for each field of `training.Settings`, with the field's own help.

    An option that is not given is None: the network's recipe decides.

    Parameters
    ----------
    parser : argparse.ArgumentParser
        Or one of its groups.
    leave_out : tuple of str
        Fields that the command line handles in its own way.
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
    """Return the settings that a command line gave."""
    values = vars(asked)
    return {name: values[name] for name in training.fields() if values.get(name) is not None}


def json_object(text: str) -> dict[str, Any]:
    """Read an option's JSON object; anything else is a command-line error.

    >>> json_object('{"dropout": 0.3}')
    {'dropout': 0.3}
    """
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise argparse.ArgumentTypeError(f"not JSON: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"expected a JSON object, found {type(value).__name__}")
    return value


def complaint(error: ValueError) -> str:
    """Say what is wrong with settings in one sentence that names the options."""
    if not isinstance(error, pydantic.ValidationError):
        return str(error)
    parts = []
    for one in error.errors():
        place = option(str(one["loc"][0])) + ": " if one["loc"] else ""
        message = one["msg"].removeprefix("Value error, ")
        given = "" if isinstance(one["input"], dict | types.NoneType) else f", not {one['input']!r}"
        parts.append(f"{place}{message[0].lower()}{message[1:]}{given if place else ''}")
    return "; ".join(parts)
