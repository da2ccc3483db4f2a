"""How a network is to learn: schedule, optimizer, loss and metric."""

from __future__ import annotations

from utils.training.settings import Settings

#: Steps that the backend makes in one call, where nothing is handed over between them.
STEPS_A_CALL = 16


def learning_rate_schedule(
    settings: Settings, steps_per_epoch: int, *, epochs: int | None = None, factor: float = 1.0
):
    """Make the schedule: a linear warm-up, then half a cosine down to zero.

    Parameters
    ----------
    settings : Settings
        Gives its peak, its warm-up and its length.
    steps_per_epoch : int
        Batches an epoch.
    epochs : int, optional
        Its length, where it is not the whole run.
    factor : float
        Its peak as a multiple of the settings' learning rate.

    Returns
    -------
    keras.optimizers.schedules.LearningRateSchedule
        A function of the optimizer's step alone, so that a resumed run finds its place.
    """
    import keras

    total = (epochs or settings.epochs) * steps_per_epoch
    warm_up = min(round(settings.warm_up * steps_per_epoch), total - 1)
    peak = settings.learning_rate * factor
    return keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=0.0 if warm_up else peak,
        decay_steps=total - warm_up,
        warmup_target=peak if warm_up else None,
        warmup_steps=warm_up,
    )


def _optimizer(settings: Settings, schedule):
    """Make the optimizer; it keeps the running average of the weights, where there is one."""
    import keras

    average = {"use_ema": True, "ema_momentum": settings.average} if settings.average else {}
    if settings.optimizer == "sgd":
        return keras.optimizers.SGD(
            schedule, momentum=0.9, nesterov=True, weight_decay=settings.weight_decay, **average
        )
    return keras.optimizers.AdamW(schedule, weight_decay=settings.weight_decay, **average)


def compile_trainer(trainer, settings: Settings, *, epochs: int, fine_tuning: bool) -> None:
    """Give a trainer its optimizer for one phase; it has loss and metric of its own."""
    factor = settings.fine_tuning if fine_tuning else 1.0
    schedule = learning_rate_schedule(settings, trainer.steps, epochs=epochs, factor=factor)
    several = settings.feed == "device" and trainer.spread.several_steps_a_call
    trainer.compile(
        optimizer=_optimizer(settings, schedule),
        # XLA's convolutions are several times slower than TensorFlow's on a processor.
        jit_compile=False if _tensorflow_without_gpu() else "auto",
        steps_per_execution=min(STEPS_A_CALL, trainer.steps) if several else 1,
    )


def _tensorflow_without_gpu() -> bool:
    """Whether the backend is TensorFlow on a processor."""
    import keras

    if keras.backend.backend() != "tensorflow":
        return False
    import tensorflow

    return not tensorflow.config.list_physical_devices("GPU")
