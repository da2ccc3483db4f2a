"""The seven expressions in FER2013's order, the orders of FER+ and RAF-DB, and all spellings.

This is the only place that knows an order: every label in the project is an index into a tuple of
names, whatever the numbering of the file it came from.
"""

import re

#: FER2013's classes in the order of Kaggle's ``emotion`` column (Goodfellow et al. 2013).
#: ExpW's ``label.lst`` numbers its classes the same way.
EXPRESSIONS: tuple[str, ...] = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

#: The vote columns of ``fer2013new.csv``, in the file's order (Barsoum et al. 2016).
FERPLUS_COLUMNS: tuple[str, ...] = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
    "unknown",
    "NF",
)

#: FER+'s eight classes: ours in our order, then contempt.
FERPLUS_EXPRESSIONS: tuple[str, ...] = (*EXPRESSIONS, "contempt")

#: RAF-DB's basic expressions 1 … 7, as its own list numbers them (Li, Deng and Du 2017).
RAFDB_EXPRESSIONS: tuple[str, ...] = (
    "surprise",
    "fear",
    "disgust",
    "happy",
    "sad",
    "angry",
    "neutral",
)

#: Every spelling of a class in folder names and vote columns, with the index it stands for.
FOLDER_NAMES: dict[str, int] = {
    word: place
    for place, words in enumerate(
        (
            *("angry anger", "disgust disgusted", "fear fearful", "happy happiness"),
            *("sad sadness", "surprise surprised suprise", "neutral"),  # sic, in public copies
        )
    )
    for word in words.split()
}

#: One color per expression, the same in every figure: Okabe and Ito's palette (2008), which
#: readers with any common color-vision deficiency can tell apart.
COLORS: dict[str, str] = {
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#E69F00",
    "sad": "#0072B2",
    "surprise": "#56B4E9",
    "neutral": "#7F7F7F",
    "contempt": "#000000",
}


#: The color of anything else.
OTHER_COLOR = "#4D4D4D"


def meaning(name: str) -> str | None:
    """Find which of FER+'s eight expressions a name means, or None.

    Case, digits and punctuation do not count.

    >>> meaning("3_Happiness"), meaning("not happy")
    ('happy', None)
    """
    word = re.sub(r"[\W\d_]+", " ", name).strip().lower()
    if word == "contempt":
        return word
    return EXPRESSIONS[FOLDER_NAMES[word]] if word in FOLDER_NAMES else None
