"""Exports of trained models: SavedModels for TF Serving, and ONNX, LiteRT and OpenVINO files."""

from keras_resnet.serving.folding import fold_batch_norm
from keras_resnet.serving.formats import FORMATS, export
from keras_resnet.serving.freezing import freeze
from keras_resnet.serving.saved_model import export_saved_model
from keras_resnet.serving.signatures import SIGNATURES

__all__ = ["FORMATS", "SIGNATURES", "export", "export_saved_model", "fold_batch_norm", "freeze"]
