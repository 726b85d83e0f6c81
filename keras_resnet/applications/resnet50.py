"""The functions of `keras.applications.resnet50`."""

from keras_resnet.applications.resnet import ResNet50 as ResNet50
from keras_resnet.applications.resnet import decode_predictions as decode_predictions
from keras_resnet.applications.resnet import preprocess_input as preprocess_input
