"""Checkpoints of other projects in our nets, and ours in theirs."""

from keras_resnet.weights.pretrained import (
    default_checkpoint,
    give,
    load_pretrained,
    model_preprocessing,
    read_source,
    save_pretrained,
)

__all__ = ["default_checkpoint", "give", "load_pretrained", "model_preprocessing", "read_source", "save_pretrained"]
