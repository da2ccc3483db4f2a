"""The mistakes: what is done, why it flatters, and what to do instead."""

from __future__ import annotations

from dataclasses import dataclass

#: The variant that makes no mistake.
HONEST = "honest"

#: What a mistake does to a figure.
KINDS: dict[str, str] = {
    "leak": "test pictures reach training",
    "choice": "the test set chooses",
    "measure": "something else is measured",
    "combined": "several at once",
}

#: The classes that two of the mistakes leave out: those of the lowest recall on PublicTest in
#: the recorded run cnn3-fer2013-none (disgust 27 %, fear 34 %, sad 50 %).
DROPPED: dict[str, tuple[str, ...]] = {
    "five_classes": ("disgust", "fear"),
    "four_classes": ("disgust", "fear", "sad"),
}


@dataclass(frozen=True)
class Mistake:
    """One way to a figure that is too high.

    Attributes
    ----------
    name : str
        What it is called in code.
    title : str
        What it is called in tables and figures.
    kind : str
        One of `KINDS`.
    variant : str
        The runs whose figure it reports: one of `pools.VARIANTS`.
    reading : str
        How the figure is read from them: one of `findings.READINGS`.
    wrong : str
        What is done, in a sentence.
    why : str
        Why the figure then says something else than it seems to.
    instead : str
        What to do.
    base : str
        The honest variant that it is compared with.
    control : str
        The variant that does the same thing rightly, where that by itself may help; "" where
        there is none.
    """

    name: str
    title: str
    kind: str
    variant: str
    reading: str
    wrong: str
    why: str
    instead: str
    base: str = HONEST
    control: str = ""


MISTAKES: tuple[Mistake, ...] = (
    Mistake(
        "copies_kept",
        "copies of training pictures kept in test",
        "leak",
        HONEST,
        "all_rows",
        "The test set is taken as it comes, though some of its pictures also stand in training.",
        "A picture that was seen with its answer asks for memory; FER2013 came with such copies, "
        "and most people never hear of them.",
        "Give the accuracy a second time without the pictures whose exact copy is in training.",
    ),
    Mistake(
        "best_epoch_on_test",
        "best epoch chosen on the test set",
        "choice",
        HONEST,
        "best_on_test",
        "The network is tested after each epoch, and the highest of these accuracies reported.",
        "The highest of many noisy measurements is high partly by luck, and this luck is not "
        "there on the next test set.",
        "Let the validation set choose the epoch; ask the test set once, at the end.",
    ),
    Mistake(
        "pooled",
        "validation and test pooled, the epoch chosen on them",
        "choice",
        HONEST,
        "pooled",
        "PublicTest and PrivateTest become one test set, and early stopping watches it.",
        "More test pictures are a good wish, but a set that stopped the training has had its say "
        "in the figure.",
        "Keep PublicTest for choosing and PrivateTest for the figure: that is what they are for.",
    ),
    Mistake(
        "resplit",
        "all rows split anew, at random",
        "leak",
        "resplit",
        "chosen",
        "The official split is dropped, and all rows are shuffled into 80, 10 and 10 %.",
        "Pictures that stand in the file twice land on both sides, and the figure is no longer "
        "of the test set that others report.",
        "Use the official split; where there is none, split by picture, person or photo.",
    ),
    Mistake(
        "augmented_first",
        "augmentation before the split",
        "leak",
        "augmented_first",
        "chosen",
        "Moved and mirrored copies of all pictures are made first; then the rows are split.",
        "Nearly every test picture has a version of itself in training, so the network is asked "
        "about faces whose answers it was given.",
        "Split first; augment the training rows only, while training.",
        control="augmented_after",
    ),
    Mistake(
        "smote_first",
        "SMOTE before the split",
        "leak",
        "smote_first",
        "chosen",
        "The classes are balanced with synthetic faces first; then the rows are split.",
        "A synthetic test face is a blend of two real ones, most often of training faces, and "
        "the many blends of few rare faces make the hardest class an easy one.",
        "Split first; balance the training rows only, and test on faces that are real.",
        control="smote_after",
    ),
    Mistake(
        "training_accuracy",
        "training accuracy reported",
        "measure",
        HONEST,
        "training",
        "The accuracy that the progress bar shows at the chosen epoch is reported.",
        "It tells how well the network remembers the faces that it learns from, which it can do "
        "without knowing anything about others.",
        "Report the accuracy on the test set, and show both curves.",
    ),
    Mistake(
        "training_accuracy_last",
        "training accuracy of the last epoch",
        "measure",
        HONEST,
        "training_last",
        "The last number on the screen is reported: the training accuracy of the last epoch.",
        "This number rises as long as one trains, whether or not the network gets better.",
        "Report the accuracy on the test set, at the epoch that the validation set chose.",
    ),
    Mistake(
        "five_classes",
        "disgust and fear left out",
        "measure",
        "five_classes",
        "chosen",
        "The two expressions that are recognised worst are left out of training and test.",
        "Five expressions are an easier question than seven; the answer is true, but it belongs "
        "to the easier question.",
        "Say the number of classes beside the figure, and compare it with the same number only.",
    ),
    Mistake(
        "four_classes",
        "disgust, fear and sad left out",
        "measure",
        "four_classes",
        "chosen",
        "The three expressions that are recognised worst are left out of training and test.",
        "With four expressions left, guessing alone is right nearly twice as often as with seven.",
        "Say the number of classes beside the figure, and compare it with the same number only.",
    ),
    Mistake(
        "binary_accuracy",
        "“binary” accuracy over the classes",
        "measure",
        HONEST,
        "binary",
        "Keras is told loss=“binary_crossentropy”, metrics=“binary_accuracy”: each class is a "
        "yes-or-no question, and right answers to all of them are counted.",
        "Six of the seven answers to a face are “no”: a network that always says no to all "
        "seven, and knows nothing, has 6/7 = 85.7 %.",
        "Use categorical_accuracy: one face, one answer.",
    ),
    Mistake(
        "top2",
        "among the two most probable (top-2)",
        "measure",
        HONEST,
        "top2",
        "An answer counts as right when the true expression is the first or the second guess.",
        "Two guesses are right more often than one. It is a fair measure under its own name.",
        "Call it top-2 accuracy, and give the accuracy beside it.",
    ),
    Mistake(
        "by_face",
        "faces of one photo on both sides",
        "leak",
        "by_face",
        "chosen",
        "Faces are split at random, though several were cut from one photo.",
        "People in one photo share light, place and mood, so that a training face can give away "
        "its neighbour in the test set.",
        "Split by photo: all faces of a photo on one side.",
        base="by_photo",
    ),
    Mistake(
        "combined",
        "SMOTE and augmentation before the split, best epoch on the test set",
        "combined",
        "combined",
        "best_on_test",
        "Balance, augment, then split; and report the best epoch of the test set.",
        "Each step looks like diligence, and each hands test faces to training or to the choice.",
        "Split before anything else, and open the test set once.",
    ),
)
