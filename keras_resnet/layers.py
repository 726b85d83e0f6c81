"""The layers of the networks, and the settings that all layers of a network share.

Tensors are channels-last, `(b, h, w, c)` or, for clips, `(b, frames, h, w, c)`. A layer is named after its place:
`conv(..., name="conv3_block1_2")` makes `conv3_block1_2_pad` (where it must pad) and `conv3_block1_2_conv`.
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
    tf = None  # what only TensorFlow can do is behind this

# where zero channels go -> how many of them stand before the old ones
ZERO_CHANNELS_BEFORE = {"both": lambda new: new // 2, "end": lambda new: 0}
# which convolutions have a bias -> a function of whether BN follows a convolution, to whether it has a bias
CONV_BIASES = {"none": lambda bn: False, "without_bn": lambda bn: not bn, "all": lambda bn: True}
CONV_PADDINGS = ("symmetric", "same")


@keras.saving.register_keras_serializable("keras_resnet")
class ZeroPadChannels(keras.layers.Layer):
    """Option A of He 2015: every `stride`-th pixel, and zeros for the channels that are new.

    `(b, h, w, c) -> (b, ceil(h/stride), ceil(w/stride), filters)`. `side="both"` puts half of the zero channels
    before the old ones and half behind (github.com/akamaster/pytorch_resnet_cifar10), `side="end"` all
    behind (github.com/facebookarchive/fb.resnet.torch). Has no weights. Raises ValueError where `filters < c`.
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
        if self.stride > 1:  # x[:, ::stride, ::stride], whose gradient TensorFlow computes ten times more slowly
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
    """Pads with minus infinity, as max pooling needs where its input may be negative."""

    def call(self, x):
        return ops.pad(x, [(0, 0), *self.padding, (0, 0)], constant_values=float("-inf"))


@keras.saving.register_keras_serializable("keras_resnet")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' own layer, its weights and its config, in one kernel where TensorFlow has one.

    Keras 3 spells the normalization out, in float32 under every policy; the fused kernel passes over memory less often
    and stays in 16 bits (its sums are float32). What that kernel has not (masks, other ranks or axes, renorm,
    statistics synchronized between several replicas, float64, other backends) is left to Keras.

    One figure differs: the variance that moves into `moving_variance` is the unbiased one, n / (n - 1) times Keras',
    as in PyTorch and in tf.keras before Keras 3.
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
    """Keras' own layer, its weights and its config, but grouped without the XLA function that Keras wraps it in.

    That wrapper is up to 200 times slower on a CPU, and TF Serving may refuse a SavedModel that holds it.
    """

    def convolution_op(self, inputs, kernel):
        if self.groups == 1 or tf is None or self.data_format != "channels_last":
            return super().convolution_op(inputs, kernel)
        convolve = GROUPED[grouped_kernel(inputs.dtype)]
        return convolve(inputs, kernel, self.groups, self.strides, self.padding, self.dilation_rate)


@keras.saving.register_keras_serializable("keras_resnet")
class StandardizedConv2D(Conv2D):
    """Weight standardization, arXiv:1903.10520: each filter less its mean, over its standard deviation.

    As BiT computes it, arXiv:1912.11370: in float32, with 1e-8 added to the variance.
    """

    def add_weight(self, *args, name=None, autocast=True, **options):
        """The kernel is not cast to the policy's 16 bits before it is standardized."""
        return super().add_weight(*args, name=name, autocast=autocast and name != "kernel", **options)

    def convolution_op(self, inputs, kernel):
        return super().convolution_op(inputs, ops.cast(standardize(kernel), inputs.dtype))


def standardize(kernel):
    """Returns the kernel in float32, each filter with mean 0 and standard deviation 1."""
    exact = ops.cast(kernel, "float32")
    mean, variance = ops.moments(exact, axes=(0, 1, 2), keepdims=True)
    return (exact - mean) * ops.rsqrt(variance + 1e-8)


def native_groups(inputs, kernel, groups, strides, padding, dilations):
    """`(b, h, w, c) -> (b, h', w', filters)` in one call of TensorFlow, which sees the groups in the kernel's shape."""
    return tf.nn.conv2d(inputs, kernel, strides, padding.upper(), dilations=dilations)


def split_groups(inputs, kernel, groups, strides, padding, dilations):
    """The same, a convolution a group: right on every device."""
    pairs = zip(tf.split(inputs, groups, axis=-1), tf.split(kernel, groups, axis=-1), strict=True)
    return tf.concat([native_groups(x, k, 1, strides, padding, dilations) for x, k in pairs], axis=-1)


GROUPED = {"native": native_groups, "split": split_groups}


@cache
def grouped_kernel(dtype) -> str:
    """The row of GROUPED for this machine: "native" if TensorFlow's own is right, forward and backward, else "split".

    Native is right on GPUs, and on CPUs in the types that oneDNN takes there: none where it is off, float16 and
    bfloat16 if the CPU has instructions for them, never float64. Else TensorFlow raises. So it is tried, once a type.
    """
    if tf.config.list_physical_devices("GPU"):
        return "native"

    @tf.function
    def forward_and_backward(convolve):
        # whole numbers, so small that sums of them are exact in 16 bits
        shapes = (1, 4, 4, 4), (3, 3, 2, 4)
        inputs = [tf.cast(tf.random.stateless_uniform(shape, [0, 0], -2, 3, tf.int32), dtype) for shape in shapes]
        y = convolve(*inputs, 2, (1, 1), "same", (1, 1))
        return [tf.cast(value, tf.float32) for value in (y, *tf.gradients(y, inputs))]

    with tf.init_scope(), tf.device("CPU"):  # whoever asks may be in the middle of a trace
        try:
            native, split = (forward_and_backward(convolve) for convolve in (native_groups, split_groups))
        except tf.errors.OpError:
            return "split"
        right = all(np.allclose(a, b, atol=1e-4) for a, b in zip(native, split, strict=True))
    return "native" if right else "split"


class Norm(NamedTuple):
    """What stands where the papers write BN."""

    letters: str  # the end of its layers' names
    make: Callable  # of what all layers share, how gamma starts, and the name


def batch_norm(layers, gamma, name, **options):
    momentum, epsilon = layers.bn_momentum, layers.bn_epsilon
    return BatchNormalization(momentum=momentum, epsilon=epsilon, gamma_initializer=gamma, name=name, **options)


def synchronized_batch_norm(layers, gamma, name):
    """With the statistics of the whole batch where replicas share it; JAX, which compiles for all of them at once, has
    no other. Keras raises ValueError on PyTorch.
    """
    return batch_norm(layers, gamma, name, synchronized=keras.backend.backend() != "jax")


def group_norm(layers, gamma, name):
    """Wu and He 2018, arXiv:1803.08494."""
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
    """The settings that all layers of a network share; its methods make the layers.

    Args:
        weight_decay: Weight decay of the papers: the loss adds `weight_decay / 2 * sum(w ** 2)` of all kernels, which
            is `L2(weight_decay / 2)` in Keras. Defaults to 0.
        bn_momentum: Momentum of BN as in Keras; PyTorch's 0.1 is 0.9 here. Defaults to 0.9.
        bn_epsilon: Constant that BN (or GN) adds to the variance. Defaults to 1e-5.
        zero_channels: Where the shortcut `"zero_pad"` puts the new channels, on `"both"` sides or at the `"end"`.
            Defaults to `"both"`.
        norm: Normalization: `"bn"`, `"sync_bn"` or `"gn"`. Defaults to `"bn"`.
        gn_groups: Groups of the normalization `"gn"` (Wu and He 2018, section 3.2). Defaults to 32.
        weight_standardization: Whether kernels are standardized (arXiv:1903.10520). Defaults to False.
        conv_bias: Convolutions that have a bias: `"none"`, `"without_bn"` or `"all"`. Defaults to `"none"`.
        conv_padding: Padding of convolutions that stride, `"symmetric"` or `"same"`. Defaults to `"symmetric"`.
        names: Layers with other names than the usual: pairs (usual name, name). Defaults to none.
        time: What convolutions of clips do along time, a `Time` from keras_resnet/ranks.py. Defaults to `FULL`: their
            kernels span three frames and stride in time as in height and width.

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
        """A convolution, `(b, h, w, c) -> (b, ceil(h/stride), ceil(w/stride), filters)`.

        If it strides, `conv_padding` decides how it pads: "symmetric" pads `kernel_size // 2` on every side, as Caffe
        and PyTorch do; "same" is that of TensorFlow, which pads an even size on the right and at the bottom only.
        Kernels start as in He et al. 2015, arXiv:1502.01852, or at `zero`. `conv_bias` and `bn`, whether a BN follows,
        decide whether it has a bias. Of clips, `time` decides what it does along time; `between` are the filters
        between the two parts of a factorized convolution, by default `channels_between`.
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
        """The normalization of this net; its layers are called after it, `..._bn` or `..._gn`."""
        if name.endswith("bn"):
            name = name.removesuffix("bn") + NORMS[self.norm].letters
        if self.norm == "gn" and x.shape[-1] % self.gn_groups:
            raise ValueError(
                f"gn_groups must divide {x.shape[-1]}, the channels of {name!r}. Received: gn_groups={self.gn_groups}"
            )
        return NORMS[self.norm].make(self, "zeros" if zero else "ones", name)(x)

    def relu(self, x, *, zero=False, name):
        del zero  # nothing in a ReLU starts anywhere
        return keras.layers.ReLU(name=name)(x)

    def follow(self, steps, x, *, zero=False, name, out=None):
        """`x` through `steps`, such as "bn relu", each named `{name}_{step}`, the last one `out` if given."""
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
        """Means over `size x size`; at the border over the pixels that are there."""
        return keras.layers.AveragePooling2D(size, stride, padding="same", name=f"{name}_pool")(x)

    def max_pool(self, x, size, stride, *, nonnegative, name):
        """Maxima, padded `size // 2` on every side by what never is one: zero after a ReLU, else -inf."""
        padding = keras.layers.ZeroPadding2D if nonnegative else LowestPadding2D
        x = padding(size // 2, name=self.named(f"{name}_pad"))(x)
        return keras.layers.MaxPooling2D(size, stride, name=self.named(f"{name}_pool"))(x)

    def dropout(self, x, rate, *, name, dtype=None):
        return keras.layers.Dropout(rate, name=f"{name}_dropout", dtype=dtype)(x)

    def drop_path(self, x, rate, *, name):
        """Stochastic depth, arXiv:1603.09382: all of a picture's `x` is zero, or x / (1 - rate)."""
        shape = (None, *[1] * (len(x.shape) - 1))
        return keras.layers.Dropout(rate, noise_shape=shape, name=f"{name}_drop_path")(x)

    def dense(self, x, units, activation, *, name):
        """The classifier; in float32 where the net computes in fewer bits."""
        return keras.layers.Dense(
            units,
            activation=activation,
            kernel_regularizer=self.regularizer(),
            dtype=head_dtype(),
            name=name,
        )(x)


@contextmanager
def dtype_policy(policy):
    """The global dtype policy, in this context."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def head_dtype():
    """float32 where the policy computes in 16 bits; else None, the policy's own."""
    return "float32" if keras.config.dtype_policy().compute_dtype in ("float16", "bfloat16") else None


def check_channels_last() -> None:
    """ValueError where Keras would build its layers for `(b, c, h, w)`."""
    if keras.config.image_data_format() != "channels_last":
        raise ValueError(
            "keras_resnet builds channels-last nets: keras.config.image_data_format() must be 'channels_last'. "
            f"Received: {keras.config.image_data_format()!r}"
        )
