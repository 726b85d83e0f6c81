"""The layers of the networks, and the settings that all layers of a network share.

Tensors are channels-last: `(b, h, w, c)`, or `(b, frames, h, w, c)` for video clips. The name of a layer states its
position: `conv(..., name="conv3_block1_2")` creates the layers `conv3_block1_2_pad` (if padding is needed) and
`conv3_block1_2_conv`.
"""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import NamedTuple

import keras
import numpy as np
from keras import ops

from keras_resnet.errors import choose, positive, within
from keras_resnet.initialization import apply
from keras_resnet.ranks import FULL, Time, channels_between, of_rank, parts

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf
else:
    tf = None  # code that needs TensorFlow checks this value first

# position of the zero channels -> function of their number that returns how many of them precede the old channels
ZERO_CHANNELS_BEFORE = {"both": lambda new: new // 2, "end": lambda new: 0}
# value of conv_bias -> function that returns whether a convolution has a bias; `bn` is whether BN follows it
CONV_BIASES = {"none": lambda bn: False, "without_bn": lambda bn: not bn, "all": lambda bn: True}
CONV_PADDINGS = ("symmetric", "same")


@keras.saving.register_keras_serializable("keras_resnet")
class ZeroPadChannels(keras.layers.Layer):
    """Option A of He 2015: keeps every `stride`-th pixel and adds channels of zeros.

    `(b, h, w, c) -> (b, ceil(h/stride), ceil(w/stride), filters)`. `side="both"` puts half of the zero channels before
    the old channels and half after them (github.com/akamaster/pytorch_resnet_cifar10). `side="end"` puts all of them
    after the old channels (github.com/facebookarchive/fb.resnet.torch). The layer has no weights. It raises a
    ValueError if `filters < c`.
    """

    def __init__(self, filters, stride=1, side="both", **kwargs):
        super().__init__(**kwargs)
        choose(ZERO_CHANNELS_BEFORE, side, "side")
        self.filters, self.stride, self.side = filters, stride, side

    def build(self, input_shape):
        if self.filters < input_shape[-1]:
            raise ValueError(
                "The shortcut zero_pad can add channels, not remove them: filters must be at least "
                f"{input_shape[-1]}, the channels of its input. Received: {self.filters}"
            )

    def call(self, x):
        new = self.filters - x.shape[-1]
        before = ZERO_CHANNELS_BEFORE[self.side](new)
        # This is x[:, ::stride, ::stride]. TensorFlow computes the gradient of that expression ten times more slowly.
        if self.stride > 1:
            x = ops.average_pool(x, 1, self.stride, data_format="channels_last")
        return ops.pad(x, [[0, 0], [0, 0], [0, 0], [before, new - before]])

    def compute_output_shape(self, input_shape):
        b, h, w, _ = input_shape
        h, w = (size and -(-size // self.stride) for size in (h, w))
        return b, h, w, self.filters

    def get_config(self):
        config = {"filters": self.filters, "stride": self.stride, "side": self.side}
        return super().get_config() | config


@keras.saving.register_keras_serializable("keras_resnet")
class LowestPadding2D(keras.layers.ZeroPadding2D):
    """Pads with minus infinity. Max pooling requires this padding if its input may be negative."""

    def call(self, x):
        return ops.pad(x, [(0, 0), *self.padding, (0, 0)], constant_values=float("-inf"))


@keras.saving.register_keras_serializable("keras_resnet")
class BatchNormalization(keras.layers.BatchNormalization):
    """The BatchNormalization of Keras, computed by the fused kernel of TensorFlow if possible.

    The weights and the config are those of the Keras layer. Keras 3 computes the normalization with separate
    operations, in float32 under every dtype policy. The fused kernel reads and writes memory less often, and its inputs
    and outputs stay in 16 bits (its sums are float32). Cases that the kernel does not support use the implementation of
    Keras: masks, other ranks or axes, renorm, statistics synchronized between several replicas, float64, and other
    backends.

    One value differs: `moving_variance` is updated with the unbiased variance, which is n / (n - 1) times the variance
    that Keras uses. PyTorch and tf.keras before Keras 3 also use the unbiased variance.
    """

    def call(self, inputs, training=None, mask=None):
        if not self.is_fusable(inputs, mask):
            return super().call(inputs, training=training, mask=mask)
        training = bool(training) and self.trainable
        empty = tf.zeros([0])
        outputs, mean, variance, *_ = tf.raw_ops.FusedBatchNormV3(
            x=inputs,
            scale=self.gamma,
            offset=self.beta,
            mean=empty if training else self.moving_mean,
            variance=empty if training else self.moving_variance,
            epsilon=self.epsilon,
            data_format={4: "NHWC", 5: "NDHWC"}[len(inputs.shape)],
            is_training=training,
        )
        if training:
            for moving, now in ((self.moving_mean, mean), (self.moving_variance, variance)):
                moving.assign(moving * self.momentum + now * (1 - self.momentum))
        return outputs

    def is_fusable(self, inputs, mask=None) -> bool:
        return (
            tf is not None
            and mask is None
            and len(inputs.shape) in (4, 5)
            and self.axis in (-1, len(inputs.shape) - 1)
            and self.center
            and self.scale
            and not self.renorm
            and not (self.synchronized and tf.distribute.get_strategy().num_replicas_in_sync > 1)
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "bfloat16", "float16")
            and inputs.dtype == self.compute_dtype
            and self.variable_dtype == "float32"
        )


@keras.saving.register_keras_serializable("keras_resnet")
class Conv2D(keras.layers.Conv2D):
    """The Conv2D of Keras, but grouped convolutions do not use the XLA function in which Keras wraps them.

    The weights and the config are those of the Keras layer. The XLA function is up to 200 times slower on a CPU, and TF
    Serving may fail to load a SavedModel that contains it.
    """

    def convolution_op(self, inputs, kernel):
        if self.groups == 1 or tf is None or self.data_format != "channels_last":
            return super().convolution_op(inputs, kernel)
        convolve = GROUPED[grouped_kernel(inputs.dtype)]
        return convolve(inputs, kernel, self.groups, self.strides, self.padding, self.dilation_rate)


@keras.saving.register_keras_serializable("keras_resnet")
class StandardizedConv2D(Conv2D):
    """Convolution with weight standardization, arXiv:1903.10520.

    The mean of each filter is subtracted, and the result is divided by the standard deviation of the filter. As in BiT,
    arXiv:1912.11370, this is computed in float32, with 1e-8 added to the variance.
    """

    def add_weight(self, *args, name=None, autocast=True, **options):
        """Disables the cast of the kernel to 16 bits, so that the kernel is standardized in float32."""
        return super().add_weight(*args, name=name, autocast=autocast and name != "kernel", **options)

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, ops.cast(standardize(kernel), inputs.dtype))


def standardize(kernel):
    """Returns the kernel in float32, each filter with mean 0 and standard deviation 1."""
    exact = ops.cast(kernel, "float32")
    mean, variance = ops.moments(exact, axes=(0, 1, 2), keepdims=True)
    return (exact - mean) * ops.rsqrt(variance + 1e-8)


def native_groups(inputs, kernel, groups, strides, padding, dilations):
    """Computes a grouped convolution, `(b, h, w, c) -> (b, h', w', filters)`, in one call of TensorFlow.

    TensorFlow infers the number of groups from the shape of the kernel.
    """
    return tf.nn.conv2d(inputs, kernel, strides, padding.upper(), dilations=dilations)


def split_groups(inputs, kernel, groups, strides, padding, dilations):
    """Computes the same with one convolution for each group. The result is correct on every device."""
    pairs = zip(tf.split(inputs, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True)
    return tf.concat([native_groups(x, k, 1, strides, padding, dilations) for x, k in pairs], axis=-1)


GROUPED = {"native": native_groups, "split": split_groups}


@cache
def grouped_kernel(dtype) -> str:
    """Returns "native" if `native_groups` is correct on this machine, forward and backward, otherwise "split".

    `native_groups` is correct on GPUs, and on CPUs for the dtypes that oneDNN supports there. oneDNN may be disabled,
    supports float16 and bfloat16 only if the CPU has instructions for them, and does not support float64. TensorFlow
    raises an error in the other cases. This function therefore runs a small convolution, once for each dtype.
    """
    if tf.config.list_physical_devices("GPU"):
        return "native"

    @tf.function
    def forward_and_backward(convolve):
        # small integers, whose sums are exact in 16 bits
        shapes = (1, 4, 4, 4), (3, 3, 2, 4)
        inputs = [tf.cast(tf.random.stateless_uniform(shape, [0, 0], -2, 3, tf.int32), dtype) for shape in shapes]
        y = convolve(*inputs, 2, (1, 1), "same", (1, 1))
        return [tf.cast(value, tf.float32) for value in (y, *tf.gradients(y, inputs))]

    with tf.init_scope(), tf.device("CPU"):  # init_scope, because the caller may be tracing a graph
        try:
            native, split = (forward_and_backward(convolve) for convolve in (native_groups, split_groups))
        except tf.errors.OpError:
            return "split"
        right = all(np.allclose(a, b, atol=1e-4) for a, b in zip(native, split, strict=True))
    return "native" if right else "split"


class Norm(NamedTuple):
    """The normalization that a network uses in all positions of BN in the papers."""

    letters: str  # last letters of the layer names
    make: Callable  # (layers, initializer of gamma, name) -> normalization layer


def batch_norm(layers, gamma, name, **options):
    momentum, epsilon = layers.bn_momentum, layers.bn_epsilon
    return BatchNormalization(momentum=momentum, epsilon=epsilon, gamma_initializer=gamma, name=name, **options)


def synchronized_batch_norm(layers, gamma, name):
    """Returns BN with the statistics of the whole batch if several replicas share the batch.

    JAX compiles one program for all replicas, so its BN always uses the statistics of the whole batch. Keras raises a
    ValueError on PyTorch.
    """
    return batch_norm(layers, gamma, name, synchronized=keras.backend.backend() != "jax")


def group_norm(layers, gamma, name):
    """Returns group normalization (Wu and He 2018, arXiv:1803.08494)."""
    return keras.layers.GroupNormalization(
        layers.gn_groups, epsilon=layers.bn_epsilon, gamma_initializer=gamma, name=name
    )


NORMS = {
    "bn":      Norm("bn", batch_norm),
    "sync_bn": Norm("bn", synchronized_batch_norm),
    "gn":      Norm("gn", group_norm),
}  # fmt: skip


@dataclass(frozen=True)
class Layers:
    """The settings that all layers of a network share. The methods create the layers.

    Args:
        weight_decay: Weight decay of the papers: `weight_decay / 2 * sum(w ** 2)` of all kernels is added to the loss.
            This is `L2(weight_decay / 2)` in Keras. Defaults to 0.
        bn_momentum: Momentum of BN as in Keras. PyTorch defines it as 1 minus this value: 0.9 here is 0.1 in PyTorch.
            Defaults to 0.9.
        bn_epsilon: Constant that BN (or GN) adds to the variance. Defaults to 1e-5.
        zero_channels: Position of the new channels in the shortcut `"zero_pad"`: half before and half after the old
            channels (`"both"`), or all after them (`"end"`). Defaults to `"both"`.
        norm: Normalization: `"bn"`, `"sync_bn"` or `"gn"`. Defaults to `"bn"`.
        gn_groups: Groups of the normalization `"gn"` (Wu and He 2018, section 3.2). Defaults to 32.
        weight_standardization: Whether kernels are standardized (arXiv:1903.10520). Defaults to False.
        conv_bias: Convolutions that have a bias: `"none"`, `"without_bn"` or `"all"`. Defaults to `"none"`.
        conv_padding: Padding of convolutions with a stride, `"symmetric"` or `"same"`. Defaults to `"symmetric"`.
        names: Pairs `(default name, name)` for layers whose name is not the default. Defaults to no pairs.
        time: Kernel size and stride along time in video networks, a `Time` from keras_resnet/ranks.py. Defaults to
            `FULL`: kernels span three frames, and the stride along time is that of height and width.

    Raises:
        ValueError: If a setting has a value that is not allowed.

    Example:
        >>> layers = keras_resnet.Layers(weight_decay=1e-4, norm="gn", gn_groups=8)
        >>> x = keras_resnet.residual_block(keras.Input((32, 32, 16)), 16, layers=layers, name="block")
        >>> x.shape
        (None, 32, 32, 16)
    """

    weight_decay: float = 0.0
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5
    zero_channels: str = "both"
    norm: str = "bn"
    gn_groups: int = 32
    weight_standardization: bool = False
    conv_bias: str = "none"
    conv_padding: str = "symmetric"
    names: tuple[tuple[str, str], ...] = ()
    time: Time = FULL

    def __post_init__(self):
        within(self.weight_decay, "weight_decay", "0 or more")
        within(self.bn_momentum, "bn_momentum", "in [0, 1)")
        within(self.bn_epsilon, "bn_epsilon", "more than 0")
        choose(ZERO_CHANNELS_BEFORE, self.zero_channels, "zero_channels")
        choose(NORMS, self.norm, "norm")
        choose(CONV_BIASES, self.conv_bias, "conv_bias")
        choose(dict.fromkeys(CONV_PADDINGS), self.conv_padding, "conv_padding")
        positive(self.gn_groups, "gn_groups")
        if self.gn_groups != 32 and self.norm != "gn":
            raise ValueError(f"gn_groups is for the norm 'gn'; elsewhere it must stay 32. Received: {self.gn_groups!r}")

    def named(self, name: str) -> str:
        return dict(self.names).get(name, name)

    def regularizer(self):
        return keras.regularizers.L2(self.weight_decay / 2) if self.weight_decay else None

    def conv(self, x, filters, kernel_size, stride=1, groups=1, dilation=1, *, between=None, zero=False, bn=True, name):
        """Applies a convolution, `(b, h, w, c) -> (b, ceil(h/stride), ceil(w/stride), filters)`.

        - Padding: `conv_padding` defines the padding if `stride` is greater than 1. "symmetric" pads `kernel_size // 2`
          on every side, as in Caffe and PyTorch. "same" is the padding of TensorFlow, which pads an even size on the
          right and at the bottom only.
        - Initialization: the kernel is initialized as in He et al. 2015, arXiv:1502.01852, or with zeros if `zero`.
        - Bias: `conv_bias` and `bn` define whether there is a bias. `bn` is whether BN follows the convolution.
        - Video clips: `time` defines the convolution along time. `between` is the number of filters between the two
          parts of a factorized convolution. The default is `channels_between`.
        """
        if stride > 1 and dilation > 1:
            raise ValueError(
                f"dilation must be 1 where stride is {stride}: a layer has one of them. Received: {dilation}"
            )
        *first, last = parts(len(x.shape) - 2, self.time, kernel_size, stride)
        for part in first:
            width = between or channels_between(kernel_size, self.time.frames, x.shape[-1], filters)
            x = self._conv(x, width, part, name=name)
            x = self.follow("bn relu", x, name=name + part.suffix)
        return self._conv(x, filters, last, groups, dilation, zero=zero, bn=bn, name=name)

    def _conv(self, x, filters, part, groups=1, dilation=1, *, zero=False, bn=True, name):
        symmetric = max(part.strides) > 1 and self.conv_padding == "symmetric"
        padding = tuple(size // 2 for size in part.kernel_size)
        if symmetric and any(padding):
            x = of_rank("ZeroPadding", x)(padding, name=self.named(f"{name}{part.suffix}_pad"))(x)
        if x.shape[-1] % groups or filters % groups:
            raise ValueError(f"groups must divide {x.shape[-1]} and {filters}, the channels. Received: {groups}")
        kind = StandardizedConv2D if self.weight_standardization else Conv2D if groups > 1 else of_rank("Conv", x)
        layer = kind(
            filters,
            part.kernel_size,
            strides=part.strides,
            padding="valid" if symmetric else "same",
            groups=groups,
            dilation_rate=dilation,
            use_bias=CONV_BIASES[self.conv_bias](bn),
            kernel_initializer="zeros" if zero else "he_normal",
            kernel_regularizer=self.regularizer(),
            name=f"{name}{part.suffix}_conv",
        )
        return apply(layer, x)

    def bn(self, x, *, zero=False, name):
        """Applies the normalization of this network. The names of its layers end with "_bn" or "_gn"."""
        if name.endswith("bn"):
            name = name.removesuffix("bn") + NORMS[self.norm].letters
        if self.norm == "gn" and x.shape[-1] % self.gn_groups:
            raise ValueError(
                f"gn_groups must divide {x.shape[-1]}, the channels of {name!r}. Received: gn_groups={self.gn_groups}"
            )
        return NORMS[self.norm].make(self, "zeros" if zero else "ones", name)(x)

    def relu(self, x, *, zero=False, name):
        del zero  # a ReLU has no weights to initialize
        return keras.layers.ReLU(name=name)(x)

    def follow(self, steps, x, *, zero=False, name, out=None):
        """Applies `steps`, such as "bn relu", to `x`.

        The name of each layer is `{name}_{step}`. If `out` is given, it is the name of the last layer.
        """
        steps = steps.split()
        for i, step in enumerate(steps, 1):
            last = i == len(steps)
            step_name = out if out and last else self.named(f"{name}_{step}")
            x = getattr(self, step)(x, zero=zero, name=step_name)
        return x

    def zero_pad_channels(self, x, filters, stride, *, name):
        layer = ZeroPadChannels(filters, stride, self.zero_channels, name=f"{name}_zero_pad")
        return layer(x)

    def average_pool(self, x, size, stride, *, name):
        """Applies average pooling over `size x size` pixels. At the border, padded pixels are not counted."""
        return keras.layers.AveragePooling2D(size, stride, padding="same", name=f"{name}_pool")(x)

    def max_pool(self, x, size, stride, *, nonnegative, name):
        """Applies max pooling after padding of `size // 2` on every side.

        The padding never exceeds a pixel: it is zero if `x` is `nonnegative`, as after a ReLU, otherwise -inf.
        """
        padding = keras.layers.ZeroPadding2D if nonnegative else LowestPadding2D
        x = padding(size // 2, name=self.named(f"{name}_pad"))(x)
        return keras.layers.MaxPooling2D(size, stride, name=self.named(f"{name}_pool"))(x)

    def dropout(self, x, rate, *, name, dtype=None):
        return keras.layers.Dropout(rate, name=f"{name}_dropout", dtype=dtype)(x)

    def drop_path(self, x, rate, *, name):
        """Applies stochastic depth, arXiv:1603.09382: for each image, the result is zero or `x / (1 - rate)`."""
        shape = (None, *[1] * (len(x.shape) - 1))
        return keras.layers.Dropout(rate, noise_shape=shape, name=f"{name}_drop_path")(x)

    def dense(self, x, units, activation, *, name):
        """Applies the classifier. It computes in float32 if the dtype policy computes in 16 bits."""
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_regularizer=self.regularizer(),
            dtype=head_dtype(),
            name=name,
        )(x)


@contextmanager
def dtype_policy(policy):
    """Sets the global dtype policy to `policy` in this context."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def head_dtype():
    """Returns "float32" if the dtype policy computes in 16 bits, otherwise None: the dtype of the policy."""
    return "float32" if keras.config.dtype_policy().compute_dtype in ("float16", "bfloat16") else None


def check_channels_last() -> None:
    """Raises ValueError if the global data format of Keras is channels-first, `(b, c, h, w)`."""
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "keras_resnet builds channels-last nets: keras.config.image_data_format() must be 'channels_last'. "
            f"Received: {keras.config.image_data_format()!r}"
        )
