"""Checkpoints of other projects in our nets, and ours in theirs."""

from keras_resnet.weights.pretrained import (
    KEYWORDS,
    check_before_download,
    default_checkpoint,
    default_checkpoints,
    give,
    load_pretrained,
    model_preprocessing,
    own_checkpoints,
    read_source,
    save_pretrained,
)

__all__ = [
    "KEYWORDS",
    "check_before_download",
    "default_checkpoint",
    "default_checkpoints",
    "give",
    "load_pretrained",
    "model_preprocessing",
    "own_checkpoints",
    "read_source",
    "save_pretrained",
]
