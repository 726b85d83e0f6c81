"""The ResNet family for Keras, with the arguments of keras.applications."""

import importlib
import sys
import warnings
from importlib import metadata
from typing import TYPE_CHECKING

if sys.argv[:1] == ["-m"]:  # python -m keras_resnet imports this file before __main__
    from keras_resnet.quiet import quiet_tensorflow

    quiet_tensorflow()

from keras_resnet import applications, builders
from keras_resnet.activation_maps import explain, overlay
from keras_resnet.blocks import BLOCKS, ORDERS, Order, bottleneck, building_block, residual_block
from keras_resnet.builders import *
from keras_resnet.fine_tuning import LayerDecay, freeze, layer_decay, reset_classifier
from keras_resnet.gates import GATES
from keras_resnet.layers import Layers
from keras_resnet.macs import count_macs
from keras_resnet.network import Network
from keras_resnet.plain_keras import to_plain_keras
from keras_resnet.preprocessing import (
    PREPROCESSINGS,
    Preprocessing,
    decode_predictions,
    preprocess_input,
    preprocessing_layers,
)
from keras_resnet.pyramid import feature_pyramid
from keras_resnet.shortcuts import OPTIONS, SHORTCUTS
from keras_resnet.variants import VARIANTS, DenseVariant, Variant, cifar, cifar_dense, list_variants, wide
from keras_resnet.weights import load_pretrained, model_preprocessing, push_to_hub, save_pretrained

if TYPE_CHECKING:
    from keras_resnet.drawing import draw
    from keras_resnet.serving import export, export_saved_model, fold_batch_norm

__all__ = [
    "BLOCKS",
    "GATES",
    "OPTIONS",
    "ORDERS",
    "PREPROCESSINGS",
    "SHORTCUTS",
    "VARIANTS",
    "DenseVariant",
    "LayerDecay",
    "Layers",
    "Network",
    "Order",
    "Preprocessing",
    "Variant",
    "applications",
    "bottleneck",
    "building_block",
    "cifar",
    "cifar_dense",
    "count_macs",
    "decode_predictions",
    "draw",
    "explain",
    "export",
    "export_saved_model",
    "feature_pyramid",
    "fold_batch_norm",
    "freeze",
    "layer_decay",
    "list_variants",
    "load_pretrained",
    "model_preprocessing",
    "overlay",
    "preprocess_input",
    "preprocessing_layers",
    "push_to_hub",
    "reset_classifier",
    "residual_block",
    "save_pretrained",
    "to_plain_keras",
    "wide",
]
__all__ += builders.__all__

__version__ = "0.1.0"

# Names that are imported at their first use: name -> module.
LAZY = dict.fromkeys(("export", "export_saved_model", "fold_batch_norm"), "keras_resnet.serving")
LAZY["draw"] = "keras_resnet.drawing"


if not TYPE_CHECKING:  # with a module __getattr__, type checkers would accept any name

    def __getattr__(name):
        if name not in LAZY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(LAZY[name]), name)


def __dir__():
    return [*__all__, "__version__"]


def _warn_of_the_other_distribution():
    try:
        version = metadata.version("keras-resnet")
    except metadata.PackageNotFoundError:
        return
    warnings.warn(
        f"The distribution keras-resnet {version}, another project, also installs a package keras_resnet. Files of "
        "both may be mixed: pip uninstall keras-resnet keras-resnet-family; pip install keras-resnet-family",
        stacklevel=3,
    )


_warn_of_the_other_distribution()
