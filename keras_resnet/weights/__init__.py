"""Loading and saving of weights, including weights of other projects."""

from keras_resnet.weights.pretrained import (
    KEYWORDS,
    default_checkpoint,
    default_checkpoints,
    give,
    load_pretrained,
    model_preprocessing,
    own_checkpoints,
    read_source,
    save_pretrained,
)
from keras_resnet.weights.push import push_to_hub
