"""What the classes are called."""

from collections.abc import Callable, Sequence

from keras_resnet.errors import choose
from keras_resnet.preprocessing import imagenet_classes

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

# names of data sets -> those of their classes
LABELS: dict[str, Callable[[], tuple[str, ...]]] = {
    "imagenet": lambda: tuple(name for _, name in imagenet_classes()),
    "cifar10": lambda: CIFAR10,
}


def check_labels(labels: str | Sequence[str] | None, classes: int) -> tuple[str, ...]:
    """A name for each of the classes: by default its position. ValueError where they are not as many, or no strings."""
    if labels is None:
        return tuple(map(str, range(classes)))
    if isinstance(labels, str):
        told, labels = repr(labels), choose(LABELS, labels, "labels, if not a sequence of strings,")()
    else:
        told, labels = f"{type(labels).__name__} of {len(labels)}", tuple(labels)
    strange = [label for label in labels if not isinstance(label, str)]
    if strange:
        raise ValueError(f"labels must be strings. Received: {strange[0]!r} among them")
    if len(labels) != classes:
        raise ValueError(f"labels must be {classes}, one a class of the model. Received: {told}, {len(labels)} labels")
    return labels
