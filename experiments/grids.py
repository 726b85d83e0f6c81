"""The tables and figures of the papers as grids of networks.

He 2015 is arXiv:1512.03385. He 2016 is arXiv:1603.05027.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import keras

import keras_resnet
from keras_resnet import ORDERS
from keras_resnet.macs import model_size


class Net(NamedTuple):
    """A line of a table: a row of VARIANTS, the fields that are replaced, and the paper's result."""

    title: str
    variant: str
    choices: Mapping[str, Any] = MappingProxyType({})
    paper: float | None = None
    panel: str = ""  # the panel of the figure in which the network is drawn
    key: str = ""  # networks with the same key have the same colour in all panels


class Grid(NamedTuple):
    """A question and the networks that answer it.

    Each network is trained once per seed. With `trained=False`, only its parameters and multiply-adds are counted.
    """

    question: str
    source: str
    nets: tuple[Net, ...]
    small: tuple[Net, ...] = ()  # the networks of the budgets medium and smoke. If empty, all networks
    column: str = "the paper's test error, %"
    trained: bool = True
    responses: bool = False  # measure the standard deviation of the layers' responses afterwards
    replications: Mapping[str, Mapping[str, float]] = MappingProxyType({})  # source -> title of a net -> error, %


def plain(depth: int) -> Net:
    return Net(f"plain-{depth}", f"plain{depth}", panel="plain", key=f"{depth} layers")


def residual(depth: int, error: float | None = None) -> Net:
    return Net(f"ResNet-{depth}", f"resnet{depth}", paper=error, panel="residual", key=f"{depth} layers")


# He 2015, Table 6. 110 layers: mean of five runs
TABLE_6 = {20: 8.75, 32: 7.51, 44: 7.17, 56: 6.97, 110: 6.61, 1202: 7.93}


def option(depth: int, name: str, error: float | None = None) -> Net:
    """Returns a CIFAR network with a shortcut. `plain` and `A` share the cells of `plain()` and `residual()`."""
    title, panel = f"{depth} layers, {name}", f"{depth} layers"
    if name in ("plain", "A"):
        return Net(title, f"{'plain' if name == 'plain' else 'resnet'}{depth}", paper=error, panel=panel, key=name)
    return Net(title, f"resnet{depth}", dict(shortcut=keras_resnet.OPTIONS[name]), error, panel, name)


def order(variant: str, name: str, error: float | None = None) -> Net:
    """Returns a network with an order of BN and ReLU. With the order of its row, it shares the cells of other grids."""
    choices = {} if name == getattr(keras_resnet.VARIANTS[variant], "order", None) else dict(order=name)
    return Net(f"{variant}, {name}", variant, choices, error, variant, name)


# He 2016, Table 2, in the order of ORDERS. The table has no conv_relu_bn. The networks have 110 layers of building
# blocks and 164 layers of bottlenecks.
TABLE_2 = {
    "resnet110":   (6.61, 8.17, 7.84, 6.71, 6.37, None),
    "resnet164v2": (5.93, 6.50, 6.14, 5.91, 5.46, None),
}  # fmt: skip

# Published test errors on CIFAR-10. a-martyn's are of the best epoch. The paper's plain networks are read off Fig. 6.
REPLICATIONS = {
    "He 2015": {"plain": (9.5, 10.0, 12.0, 13.5), "ResNet": (8.75, 7.51, 7.17, 6.97)},
    "github.com/a-martyn/resnet": {"plain": (9.5, 9.92, 11.35, 12.76), "ResNet": (8.0, 7.51, 7.38, 7.33)},
    "github.com/fish145/ResNet-on-Cifar10": {"plain": (9.90, 13.04, 15.55, 14.74), "ResNet": (8.26, 7.77, 7.33, 6.91)},
}
PUBLISHED = {
    where: {
        f"{kind}-{depth}": error for kind in kinds for depth, error in zip((20, 32, 44, 56), kinds[kind], strict=True)
    }
    for where, kinds in REPLICATIONS.items()
}

OPTIONS_20 = tuple(option(20, name, TABLE_6[20] if name == "A" else None) for name in ("plain", "A", "B", "C"))
OPTIONS_56 = tuple(option(56, name, TABLE_6[56] if name == "A" else None) for name in ("plain", "A", "B", "C"))
# He 2016, Table 1: "original" and "1x1 conv shortcut"
OPTIONS_110 = (option(110, "A", 6.61), option(110, "C", 12.22))

GRIDS = {
    "degradation": Grid(
        "Are deeper networks harder to train, and do shortcuts help? The paper shows plain networks only as curves.",
        "He 2015, Fig. 6, and Table 6 for the ResNets",
        tuple(net for depth in (20, 32, 44, 56) for net in (plain(depth), residual(depth, TABLE_6[depth]))),
        replications=PUBLISHED,
    ),
    "table6": Grid(
        "How much does depth improve the accuracy?",
        "He 2015, Table 6 (110 layers: the mean of five runs)",
        tuple(residual(depth, error) for depth, error in TABLE_6.items()),
        small=tuple(residual(depth, TABLE_6[depth]) for depth in (20, 32, 44, 56)),
    ),
    "options": Grid(
        "Does the kind of shortcut matter, and how do projections in all blocks affect a very deep network?",
        "He 2015, Table 3, on CIFAR-10; option A: Table 6; 110 layers: He 2016, Table 1",
        (*OPTIONS_20, *OPTIONS_56, *OPTIONS_110),
        small=(*OPTIONS_20, *OPTIONS_56),
    ),
    "orders": Grid(
        "Where should BN and ReLU be placed?",
        "He 2016, Table 2 and Fig. 4",
        tuple(
            order(variant, name, error)
            for variant, errors in TABLE_2.items()
            for name, error in zip(ORDERS, errors, strict=True)
        ),
        small=tuple(order("resnet56", name) for name in ORDERS),
    ),
    "responses": Grid(
        "How large are the responses of the layers?",
        "He 2015, Fig. 7, and Table 6 for the errors of the ResNets",
        (*map(plain, (20, 56)), *(residual(depth, TABLE_6[depth]) for depth in (20, 56, 110))),
        small=(*map(plain, (20, 56)), *(residual(depth, TABLE_6[depth]) for depth in (20, 56))),
        responses=True,
    ),
    "family": Grid(
        "How accurate is each later variant at the same cost (250 to 330 million multiply-adds) with the same recipe?",
        "He 2016, Tables 1, 2; Zagoruyko, Komodakis 2016, Table 4; Huang et al. 2017, Table 2: each by its own recipe",
        (
            Net("ResNet-110", "resnet110", paper=6.61),
            Net("ResNet-164, pre-activated", "resnet164v2", paper=5.46),
            Net("SE-ResNet-110", "resnet110", dict(gate="se")),
            Net("WRN-40-2", "wide_resnet40_2", paper=5.33),
            Net("ResNeXt-29, 8x6d", "resnext29_8x64d", dict(filters=48, base_width=8)),
            Net("DenseNet-BC-100, k=12", "densenet_bc100_12", paper=4.51),
        ),
    ),
    "imagenet_table1": Grid(
        "What do the networks for ImageNet cost? In the paper, the first 1x1 layer of a bottleneck has the stride.",
        "He 2015, Table 1; VGG-16: section 4.1",
        (
            *(Net(f"ResNet-{depth}", f"resnet{depth}", paper=macs) for depth, macs in ((18, 1.8), (34, 3.6))),
            *(
                Net(f"ResNet-{depth}", f"resnet{depth}", dict(bottleneck_stride="1x1"), macs)
                for depth, macs in ((50, 3.8), (101, 7.6), (152, 11.3))
            ),
            Net("VGG-16", "vgg16", paper=15.3),
        ),
        column="the paper's multiply-adds, 10^9",
        trained=False,
    ),
}

# name of a network that is not in this package and is only counted -> the function that builds it
PEER_MODELS: dict[str, Callable[[], keras.Model]] = {"vgg16": lambda: keras.applications.VGG16(weights=None)}


def counts(net: Net) -> tuple[int, int]:
    """Returns the number of trainable parameters, and of multiply-adds for one image."""
    model = (
        PEER_MODELS[net.variant]() if net.variant in PEER_MODELS else keras_resnet.ResNet(net.variant, **net.choices)
    )
    cost = model_size(model)
    return cost["parameters"], cost["multiply_adds"]
