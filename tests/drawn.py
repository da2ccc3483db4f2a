"""Predictions for tests: made by hand, or drawn as a network would make them."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from utils.expressions import EXPRESSIONS, FERPLUS_EXPRESSIONS
from utils.records import Predictions


def made(probabilities, labels, rows=None, copies=None, expressions=EXPRESSIONS):
    """Predictions with what is not given filled in."""
    count = len(labels)
    return Predictions(
        np.asarray(probabilities),
        np.asarray(labels, dtype=np.int64),
        np.arange(count) if rows is None else np.asarray(rows),
        np.zeros(count, bool) if copies is None else np.asarray(copies),
        expressions,
    )


def of_classes(predicted, labels, **others):
    """Predictions that are sure of the given classes."""
    return made(np.eye(len(EXPRESSIONS))[np.asarray(predicted)], labels, **others)


@st.composite
def predictions(draw):
    """Predictions as a network makes them: softmax of any logits, rounded as a record rounds."""
    count = draw(st.integers(1, 40))
    expressions = draw(st.sampled_from([EXPRESSIONS, FERPLUS_EXPRESSIONS]))
    classes = len(expressions)
    logits = draw(hnp.arrays(np.float64, (count, classes), elements=st.floats(-25, 25)))
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return made(
        probabilities.astype(draw(st.sampled_from([np.float16, np.float32, np.float64]))),
        draw(hnp.arrays(np.int64, count, elements=st.integers(0, classes - 1))),
        rows=draw(st.permutations(range(100, 100 + count))),
        copies=draw(hnp.arrays(np.bool_, count)),
        expressions=expressions,
    )


def shuffled(given, seed=0):
    return given.where(np.random.default_rng(seed).permutation(len(given)))
