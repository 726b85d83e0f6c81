"""The ResNets and DenseNets of `keras.applications`. To use them, change one import.

    from keras_resnet import applications            # instead of: from keras import applications
    from keras_resnet.applications import resnet50   # instead of: from keras.applications import resnet50

Functions, arguments, defaults and published weights are the same as in Keras 3.15. Outputs are equal up to rounding.
Layer names are equal, with these exceptions:

- The input layer is called `image`. Keras numbers its input layers (`input_layer`, `input_layer_1`, ...).
- ResNet V2 has no layers `conv{i}_block{j}_2_pad` before convolutions of stride 1: the convolutions pad themselves.
- In ResNet V2, the shortcuts that Keras calls `max_pooling2d`, `max_pooling2d_1`, ... are called
  `conv{i}_block{j}_0_zero_pad`.
- DenseNet always calls its two padding layers `zero_padding2d` and `zero_padding2d_1`. Keras increases the numbers with
  each model.

Other differences:

- ResNet (not V2) has no biases in its convolutions. `weights=` subtracts the biases of the file from the `moving_mean`
  of the batch normalization. To load a file of Keras later, call `keras_resnet.load_pretrained(model, path)`, not
  `model.load_weights(path)`.
- With `weights=None`, kernels are initialized by `HeNormal`. Keras uses `GlorotUniform`.
- Under a 16-bit dtype policy, pooling and classifier compute in float32.
- On TensorFlow, training updates `moving_variance` with the unbiased variance, as PyTorch does.
- Only `channels_last` is supported.
- `input_shape` must agree with `input_tensor`. Keras ignores `input_shape` if both are given.
- With `include_top=False`, the file of `weights` may contain a classifier.
- The file of `weights` may have a different number of classes. Then the classifier keeps its random initialization and
  a warning is issued.
- `preprocess_input` does not modify its argument. `decode_predictions` does not download anything.
"""

from keras_resnet.applications import densenet, resnet, resnet50, resnet_v2
from keras_resnet.applications.densenet import DenseNet121, DenseNet169, DenseNet201
from keras_resnet.applications.resnet import ResNet50, ResNet101, ResNet152
from keras_resnet.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
