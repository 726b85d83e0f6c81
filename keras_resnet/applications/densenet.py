"""The functions of `keras.applications.densenet`: Huang et al. 2017."""

from keras_resnet.applications.factory import builder, preprocessor
from keras_resnet.preprocessing import decode_predictions as decode_predictions

DenseNet121 = builder(__name__, "densenet121")
DenseNet169 = builder(__name__, "densenet169")
DenseNet201 = builder(__name__, "densenet201")
preprocess_input = preprocessor(__name__, "torch")
