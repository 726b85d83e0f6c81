"""The functions of `keras.applications.resnet`: He et al. 2015, with the stride in the first 1x1 convolution."""

from keras_resnet.applications.factory import builder, preprocessor
from keras_resnet.preprocessing import decode_predictions as decode_predictions

ResNet50 = builder(__name__, "resnet50", bottleneck_stride="1x1")
ResNet101 = builder(__name__, "resnet101", bottleneck_stride="1x1")
ResNet152 = builder(__name__, "resnet152", bottleneck_stride="1x1")
preprocess_input = preprocessor(__name__, "caffe")
