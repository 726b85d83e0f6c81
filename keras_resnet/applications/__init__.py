"""The ResNets and DenseNets of `keras.applications`, to be used by changing one import.

    from keras_resnet import applications            # instead of: from keras import applications
    from keras_resnet.applications import resnet50   # instead of: from keras.applications import resnet50

Functions, arguments, defaults and published weights are those of Keras 3.15; outputs are equal up to rounding. The
names of the layers are equal, except that

- the input layer is called `image`, where Keras numbers its inputs (`input_layer`, `input_layer_1`, ...);
- ResNet V2 has no layers `conv{i}_block{j}_2_pad` for convolutions of stride 1, which pad themselves, and the shortcuts
  that Keras calls `max_pooling2d`, `max_pooling2d_1`, ... are `conv{i}_block{j}_0_zero_pad`;
- DenseNet calls its two paddings `zero_padding2d` and `zero_padding2d_1`, where Keras numbers them on.

Other differences:

- ResNet (not V2) has no biases in its convolutions: `weights=` subtracts them from the `moving_mean` of the batch
  normalization. To load a file of Keras later, call `keras_resnet.load_pretrained(model, path)`, not
  `model.load_weights(path)`.
- With `weights=None` kernels are initialized by `HeNormal`, in Keras by `GlorotUniform`.
- Under a 16-bit policy pooling and classifier compute in float32.
- On TensorFlow, training updates `moving_variance` with the unbiased variance, as PyTorch does.
- Only `channels_last` is supported. `input_shape` must agree with `input_tensor`, where Keras ignores it.
- A file of `weights` may be of a model with a classifier where `include_top=False`, and of another number of classes:
  then the classifier keeps its random initialization, with a warning.
- `preprocess_input` does not modify its argument, `decode_predictions` does not download anything.
"""

from keras_resnet.applications import densenet, resnet, resnet50, resnet_v2
from keras_resnet.applications.densenet import DenseNet121, DenseNet169, DenseNet201
from keras_resnet.applications.resnet import ResNet50, ResNet101, ResNet152
from keras_resnet.applications.resnet_v2 import ResNet50V2, ResNet101V2, ResNet152V2
