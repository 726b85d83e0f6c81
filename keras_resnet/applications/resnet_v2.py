"""The functions of `keras.applications.resnet_v2`: He et al. 2016, with the stride in the last block of a stage."""

from keras_resnet.applications.factory import builder, preprocessor
from keras_resnet.preprocessing import decode_predictions as decode_predictions

ResNet50V2 = builder(__name__, "resnet50v2_keras")
ResNet101V2 = builder(__name__, "resnet101v2_keras")
ResNet152V2 = builder(__name__, "resnet152v2_keras")
preprocess_input = preprocessor(__name__, "tf")
