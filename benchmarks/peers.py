"""One measurement of a comparison, in a separate process: builds a network, measures its speed, prints JSON.

    python -m benchmarks.peers train resnet20 ours bfloat16 128 20     # or predict; net, peer, precision, batch, steps
    python -m benchmarks.peers build resnet152 ours                    # or first_step
    python -m benchmarks.peers peak bfloat16

Each peer runs with its fastest settings. Keras runs in graph mode on one batch in memory, trains with `fit` and
predicts with a `tf.function`. Our network is also measured frozen. PyTorch uses the channels-last layout, and autocast
if the precision is bfloat16. Eager and compiled PyTorch are two peers. For predictions, compiled PyTorch has frozen
weights.
"""

import json
import sys
import time
import types
from collections.abc import Callable
from typing import NamedTuple

import numpy as np


class Net(NamedTuple):
    """A row of VARIANTS, and the names of the same network in other libraries."""

    row: str
    size: int
    classes: int
    keras_application: str | None = None
    torch: str | None = None  # torchvision and timm use the same names

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.size, self.size, 3


NETS = {
    "resnet20": Net("resnet20", 32, 10),
    "resnet110": Net("resnet110", 32, 10),
    "resnet50": Net("resnet50", 224, 1000, "ResNet50", "resnet50"),
    "resnet50_96": Net("resnet50", 96, 1000, "ResNet50", "resnet50"),
    "resnet152": Net("resnet152", 224, 1000, "ResNet152", "resnet152"),
    "resnext50_32x4d": Net("resnext50_32x4d", 224, 1000, None, "resnext50_32x4d"),
}
PRECISIONS = ("float32", "bfloat16")


class MissingPeer(RuntimeError):
    """The peer does not have the network, or is not installed."""


def example_images(net: Net, batch: int):
    rng = np.random.default_rng(0)
    images = rng.normal(size=(batch, net.size, net.size, 3)).astype("float32")
    return images, rng.integers(net.classes, size=batch)


# ------------------------------------------------------------------------------------ Keras


def ours(net: Net):
    import keras_resnet

    return keras_resnet.ResNet(net.row, input_shape=net.shape)


def stock_keras(net: Net):
    """Returns the same network, built of stock Keras layers."""
    import keras

    from keras_resnet import layers

    layers.BatchNormalization = keras.layers.BatchNormalization  # type: ignore[misc]
    layers.Conv2D = keras.layers.Conv2D  # type: ignore[misc]
    return ours(net)


def keras_applications(net: Net):
    import keras

    if net.keras_application is None:
        raise MissingPeer("has no such net")
    return getattr(keras.applications, net.keras_application)(weights=None, input_shape=net.shape)


def our_applications(net: Net):
    """Returns our network with the architecture of `keras.applications`.

    Its stride is in the first 1x1 convolution. `ours` has the stride in the 3x3 convolution.
    """
    from keras_resnet import applications

    if net.keras_application is None:
        raise MissingPeer("has no such net")
    return getattr(applications, net.keras_application)(weights=None, input_shape=net.shape)


def keras_hub(net: Net):
    if net.row != "resnet50":
        raise MissingPeer("has no such net")
    import keras_hub

    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64],
        input_conv_kernel_sizes=[7],
        stackwise_num_filters=[64, 128, 256, 512],
        stackwise_num_blocks=[3, 4, 6, 3],
        stackwise_num_strides=[1, 2, 2, 2],
        block_type="bottleneck_block",
        image_shape=net.shape,
    )
    return keras_hub.models.ImageClassifier(backbone, num_classes=net.classes, activation="softmax")


def keras_side(make: Callable) -> Callable:
    def prepare(kind: str, net: Net, precision: str, batch: int) -> Callable[[int], None]:
        import keras
        import tensorflow as tf

        keras.config.set_dtype_policy({"float32": "float32", "bfloat16": "mixed_bfloat16"}[precision])
        model = make(net)
        images, labels = map(tf.constant, example_images(net, batch))
        if kind == "train":
            model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "sparse_categorical_crossentropy")
            one = tf.data.Dataset.from_tensors((images, labels))
            return lambda steps: model.fit(one.repeat(steps), shuffle=False, verbose=0)

        predict_fn = tf.function(lambda images: model(images, training=False))

        def run(steps: int) -> None:
            for _ in range(steps):
                predict_fn(images).numpy()

        return run

    return prepare


def frozen(kind: str, net: Net, precision: str, batch: int) -> Callable[[int], None]:
    """Prepares our network as it is served: with BN folded and constant weights."""
    if kind != "predict":
        raise MissingPeer("is for predict")
    import tensorflow as tf

    from keras_resnet.serving import freeze

    predict_fn = freeze(ours(net), {"float32": "freeze", "bfloat16": "bfloat16"}[precision])
    if predict_fn.optimize != "bfloat16" and precision == "bfloat16":
        raise MissingPeer("bfloat16 does not pay on this machine")
    images = tf.constant(example_images(net, batch)[0])

    def run(steps: int) -> None:
        for _ in range(steps):
            predict_fn(images).numpy()

    return run


# ---------------------------------------------------------------------------------- PyTorch


def torch_resnet20():
    """Returns the ResNet-20 of He 2015, section 4.2, with option A. torchvision does not have this network."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, c_in, c_out, stride):
            super().__init__()
            self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(c_out)
            self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(c_out)
            self.new, self.stride = c_out - c_in, stride

        def forward(self, x):
            f = self.bn2(self.conv2(torch.relu(self.bn1(self.conv1(x)))))
            if self.new:
                x = functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.new // 2, self.new // 2))
            return torch.relu(f + x)

    widths = [(16, 16, 1), (16, 16, 1), (16, 16, 1), (16, 32, 2), (32, 32, 1), (32, 32, 1)]
    widths += [(32, 64, 2), (64, 64, 1), (64, 64, 1)]
    stem = [nn.Conv2d(3, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU()]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10)]
    return nn.Sequential(*stem, *(Block(*width) for width in widths), *head)


def without_operators() -> None:
    """Disables torchvision's operators, which may need CUDA libraries. Its models and timm's do not use them."""
    sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")


def torch_net(net: Net):
    """Returns the network of torchvision, or our own PyTorch network if torchvision does not have it."""
    if net.torch is None:
        return torch_resnet20()
    without_operators()
    import torchvision

    return getattr(torchvision.models, net.torch)()


def timm_net(net: Net):
    if net.torch is None:
        raise MissingPeer("has no such net")
    without_operators()
    import timm

    return timm.create_model(net.torch)


def torch_side(make: Callable, *, compiled: bool = False) -> Callable:
    def prepare(kind: str, net: Net, precision: str, batch: int) -> Callable[[int], None]:
        import torch

        module = make(net).to(memory_format=torch.channels_last).train(kind == "train")
        optimizer = torch.optim.SGD(module.parameters(), lr=0.01, momentum=0.9)
        images, labels = example_images(net, batch)
        x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(memory_format=torch.channels_last)
        y = torch.from_numpy(labels)
        if compiled:
            import torch._inductor.config

            torch._inductor.config.freezing = kind == "predict"
        forward = torch.compile(module) if compiled else module
        autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bfloat16")

        def train(steps: int) -> None:
            for _ in range(steps):
                optimizer.zero_grad(set_to_none=True)
                with autocast:
                    loss = torch.nn.functional.cross_entropy(forward(x), y)
                loss.backward()
                optimizer.step()

        def predict(steps: int) -> None:
            with torch.inference_mode(), autocast:
                for _ in range(steps):
                    forward(x)

        if compiled and kind == "predict":
            predict(40)  # with frozen weights, the first 20 or so predictions are slow
        return {"train": train, "predict": predict}[kind]

    return prepare


PEERS: dict[str, Callable] = {
    "ours": keras_side(ours),
    "ours, frozen": frozen,
    "ours, applications": keras_side(our_applications),
    "stock Keras": keras_side(stock_keras),
    "keras.applications": keras_side(keras_applications),
    "keras-hub": keras_side(keras_hub),
    "PyTorch": torch_side(torch_net),
    "PyTorch compiled": torch_side(torch_net, compiled=True),
    "timm": torch_side(timm_net),
    "timm compiled": torch_side(timm_net, compiled=True),
}


def matmul_peak(precision: str) -> float:
    """Returns the GFLOP/s of the fastest of ten products of 4096 x 4096 matrices."""
    import tensorflow as tf

    a = tf.cast(tf.random.normal((4096, 4096)), precision)
    product = tf.function(lambda a: tf.reduce_sum(tf.cast(tf.matmul(a, a), tf.float32)))
    product(a)
    seconds = []
    for _ in range(10):
        start = time.perf_counter()
        product(a).numpy()
        seconds.append(time.perf_counter() - start)
    return 2 * 4096**3 / min(seconds) / 1e9


def rates(kind: str, net: Net, peer: str, precision: str, batch: int, steps: int) -> list[float]:
    """Returns three measurements of images/s over `steps` steps.

    If one step takes a second or more, fewer steps are measured. If one step takes 5 seconds or more, one measurement
    is made.
    """
    run = PEERS[peer](kind, net, precision, batch)
    run(1)  # traces and compiles
    start = time.perf_counter()
    run(1)  # allocates
    one = time.perf_counter() - start
    measured = []
    for _ in range(3 if one < 5 else 1):
        steps = max(1, min(steps, round(10 / one)))
        start = time.perf_counter()
        run(steps)
        measured.append(steps * batch / (time.perf_counter() - start))
    return measured


def seconds(kind: str, net: Net, peer: str) -> float:
    """Returns the seconds to build a network, or to build it and run a training step of 8 images, without imports."""
    import keras

    keras.layers.Dense(1)(keras.Input((1,)))
    make = {"ours": ours, "stock Keras": stock_keras, "keras.applications": keras_applications}[peer]
    if kind == "build":
        make(Net("resnet20", 32, 10, "ResNet50"))  # triggers late imports
    start = time.perf_counter()
    if kind == "build":
        make(net)
    else:
        keras_side(make)("train", net, "float32", 8)(1)
    return time.perf_counter() - start


def main(arguments: list[str]) -> None:
    kind, *rest = arguments
    result: dict[str, object]
    try:
        if kind == "peak":
            result = {"gflops": matmul_peak(rest[0])}
        elif kind in ("build", "first_step"):
            result = {"seconds": seconds(kind, NETS[rest[0]], rest[1])}
        else:
            name, peer, precision, batch, steps = rest
            result = {"images_per_second": rates(kind, NETS[name], peer, precision, int(batch), int(steps))}
    except (MissingPeer, ImportError) as error:
        result = {"missing": f"{error}"}
    print(json.dumps(result))


if __name__ == "__main__":
    main(sys.argv[1:])
