"""How much is measured: sizes of everything, for two cores, for an accelerator, and for a try."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: FER2013's rows, and those of its training split.
FER2013_ROWS, FER2013_TRAINING = 35_887, 28_709


@dataclass(frozen=True)
class Plan:
    """What each part is told.

    Attributes
    ----------
    data : str
        Whose faces: "fer2013" or "sample". What they show makes no difference to most times.
    accelerator : bool
        Whether the backend computes on one.
    repeats : int
        Turns that are counted.
    precision : str
        What training and the matrix product compute in.
    batch_size : int
        Faces a step, here and at the ancestors' way that is compared first.
    wild_batch_size : int
        Faces a step as found in the wild: ``ImageDataGenerator.flow``'s own default.
    faces : int
        Faces a repetition of augmentation alone.
    generator_faces : int
        The same for ImageDataGenerator, which would take too long for as many on an accelerator.
    size : int
        Their side in pixels; also that of `network`, which trains and answers.
    network : dict
        Settings of `cnn5`, where it is not the course's own.
    steps, generator_steps : int
        Training steps a repetition: this project's, and the ancestors'.
    arithmetic : tuple of str
        Networks whose operations are counted.
    operations : float
        How many floating-point operations a repetition of those takes, about.
    most_steps : int
        At most so many steps for it, whatever the network.
    product : int
        Side of the square matrices of the product.
    products : int
        How many products one after the other make a repetition.
    one_face_calls : int
        Single faces a repetition of inference.
    batches : tuple of int
        Faces a call, for inference in batches.
    loads : int
        Repetitions of loading and of SMOTE, which take long.
    load_rows, smote_rows : int
        Rows that are loaded, and training rows that SMOTE balances.
    growth_rows : tuple of int
        Rows that growth is measured at. Of the training split so many times 0.8.
    growth_repeats : int
        Processes for each size.
    growth_seconds : float
        A size of which one measurement takes longer than this is measured once.
    """

    data: str
    accelerator: bool = False
    repeats: int = 7
    precision: str = "mixed_bfloat16"
    batch_size: int = 128
    wild_batch_size: int = 32
    faces: int = 4096
    generator_faces: int = 4096
    size: int = 64
    network: dict[str, Any] = field(default_factory=dict)
    steps: int = 32
    generator_steps: int = 32
    arithmetic: tuple[str, ...] = ("cnn5", "resnet", "vgg16")
    operations: float = 1.5e12
    most_steps: int = 480
    product: int = 2048
    products: int = 16
    one_face_calls: int = 50
    batches: tuple[int, ...] = (32, 256)
    loads: int = 3
    load_rows: int = FER2013_ROWS
    smote_rows: int = FER2013_TRAINING
    growth_rows: tuple[int, ...] = tuple(factor * FER2013_ROWS for factor in (1, 2, 4, 8))
    growth_repeats: int = 3
    growth_seconds: float = 60.0


def plan_for(data: str, *, accelerator: bool = False, quick: bool = False) -> Plan:
    """Return the sizes for a machine.

    Parameters
    ----------
    data : {"fer2013", "sample"}
    accelerator : bool
        There a repetition must be larger, or it measures how long a call takes.
    quick : bool
        As small as everything still runs: to see that it does. The times say nothing.
    """
    if quick:
        return Plan(
            data,
            accelerator,
            repeats=2,
            batch_size=16,
            wild_batch_size=8,
            faces=64,
            generator_faces=64,
            size=32,
            network={"filters": [4, 4, 4, 4, 4], "dense": 16},
            steps=4,
            generator_steps=2,
            arithmetic=("cnn5",),
            operations=1e6,
            product=64,
            products=2,
            one_face_calls=2,
            batches=(4,),
            loads=1,
            load_rows=200,
            smote_rows=1000,
            growth_rows=(400, 800),
            growth_repeats=1,
        )
    if accelerator:
        return Plan(
            data, accelerator, faces=65_536, steps=480, operations=1e15, product=8192, products=64
        )
    return Plan(data, accelerator)
