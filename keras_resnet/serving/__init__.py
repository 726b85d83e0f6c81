"""From a trained net to what a server loads."""

from keras_resnet.serving.saved_model import export_saved_model
