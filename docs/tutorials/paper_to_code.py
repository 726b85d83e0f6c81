# %% [markdown]
# # ResNet: from the paper to code
#
# This tutorial builds the networks of *Deep Residual Learning for Image Recognition* (He et al. 2015, arXiv:1512.03385)
# step by step, and counts each of them against Table 1 of the paper. Nothing is trained.

# %%
import math
import os

import keras

import keras_resnet
from keras_resnet import ResNet, Variant, count_macs

SMALL = os.environ.get("TUTORIAL_SIZE") == "small"

# %% [markdown]
# ## The plain network
#
# A plain network is a stack of 3x3 convolutions. A stage is a group of layers with the same size. From one stage to the
# next, height and width are halved and the number of filters is doubled, so every layer costs about the same. Section
# 3.3 of the paper calls the 34-layer version the plain baseline.
#
# With 16 building blocks of two layers, the first convolution and the classifier, it has 34 weight layers.

# %%
plain = ResNet(Variant("building_block", (3, 4, 6, 3), shortcut="none"), name="plain34")


def parameters(model):
    return sum(math.prod(variable.shape) for variable in model.trainable_variables)


def show(model):
    print(f"{model.name:20} {parameters(model):12,} parameters, {count_macs(model):14,} multiply-adds")
    return count_macs(model)


plain_macs = show(plain)

# %% [markdown]
# Section 3.3 says that the plain network has 3.6 billion multiply-adds.

# %%
assert round(plain_macs / 1e9, 1) == 3.6

# %% [markdown]
# ## The shortcut
#
# A block learns F(x) and adds its input: H(x) = F(x) + x. The layers only have to learn the difference from the
# identity. The function `residual_block` is one such block.

# %%
x = keras.Input((56, 56, 64))
y = keras_resnet.residual_block(x, 64, shortcut="identity", name="block")
keras.Model(x, y, name="one_block").summary()

# %% [markdown]
# The last `Add` is the shortcut. It has no weights. `draw` writes a drawing as in Fig. 3: open `resnet34.svg`. Arcs are
# shortcuts.

# %%
drawing = keras_resnet.draw("resnet34", "resnet34.svg", shortcut="A")
assert drawing.startswith("<svg")

# %% [markdown]
# The plain network of 34 layers and the residual network, as in Fig. 3:
#
# ![plain network of 34 layers](../generated/plain34.svg)
# ![ResNet-34 with option A](../generated/resnet34.svg)
#
# ## Options A, B and C
#
# x and F(x) must have the same shape. Between two stages they have not. The paper compares three shortcuts.
#
# - **A**: the identity with stride 2, and zeros for the new channels. No weights.
# - **B**: a 1x1 convolution where the shape changes, the identity elsewhere.
# - **C**: a 1x1 convolution in every block.

# %%
options = {}
for option in ("A", "B", "C"):
    options[option] = show(keras_resnet.ResNet34(shortcut=option, name=f"resnet34_{option}"))

# %% [markdown]
# Option A costs nothing: the network has as many weights and multiply-adds as the plain one. The difference between the
# two is only the addition. That makes the comparison in the paper fair.

# %%
assert options["A"] == plain_macs
assert options["A"] < options["B"] < options["C"]

# %% [markdown]
# Table 3 of the paper has the top-1 error with 10 crops: A 25.03 %, B 24.52 %, C 24.19 %. The differences are small, so
# projections are not essential.
#
# ## The bottleneck
#
# Two 3x3 layers with many filters are expensive. A bottleneck has a 1x1 layer that reduces the channels, a 3x3 layer,
# and a 1x1 layer that restores them. Fig. 5 compares both: 64 channels with a building block and 256 channels with a
# bottleneck cost about the same.

# %%
narrow, broad = keras.Input((56, 56, 64)), keras.Input((56, 56, 256))
building = keras.Model(narrow, keras_resnet.building_block(narrow, 64, shortcut="identity"), name="building_block")
bottleneck = keras.Model(broad, keras_resnet.bottleneck(broad, 64, shortcut="identity"), name="bottleneck")
for model in (building, bottleneck):
    show(model)

# %% [markdown]
# The blocks of ResNet-34 and ResNet-50, as in Fig. 5:
#
# ![building block](../generated/building_block.svg)
# ![bottleneck](../generated/bottleneck.svg)
#
# ## Table 1
#
# ResNet-34 becomes ResNet-50 when each block of two layers is replaced by a bottleneck of three. The networks of the
# paper stride in the first 1x1 layer of a bottleneck: `bottleneck_stride="1x1"`. The default of this package, as in
# PyTorch, is the 3x3 layer, which costs more.

# %%
TABLE_1 = {"resnet18": 1.8, "resnet34": 3.6, "resnet50": 3.8, "resnet101": 7.6, "resnet152": 11.3}
names = list(TABLE_1)[:3] if SMALL else list(TABLE_1)
for name in names:
    fields = {"bottleneck_stride": "1x1"} if keras_resnet.VARIANTS[name].block == "bottleneck" else {"shortcut": "A"}
    macs = show(ResNet(name, **fields)) / 1e9
    print(f"{'':20} the paper: {TABLE_1[name]} billion")
    assert abs(macs - TABLE_1[name]) < 0.1

# %% [markdown]
# The paper gives one decimal. ResNet-50 has 3.86 billion multiply-adds here and 3.8 in the paper.
#
# ## The networks for CIFAR-10
#
# Section 4.2 describes smaller networks: a 3x3 convolution, three stages of n blocks with 16, 32 and 64 filters, global
# average pooling, a classifier. The depth is 6n + 2, and the shortcut is option A. Table 6 says 0.27 million parameters
# for 20 layers and 0.85 million for 56.

# %%
for depth, millions in ((20, 0.27), (56, 0.85)):
    model = ResNet(keras_resnet.cifar(depth), name=f"resnet{depth}")
    show(model)
    assert round(parameters(model) / 1e6, 2) == millions

# %% [markdown]
# ## Pre-activation
#
# *Identity Mappings in Deep Residual Networks* (He et al. 2016, arXiv:1603.05027) moves BN and ReLU before the weight
# layers. Then nothing stands on the path from a block to the next: the signal and the gradient pass unchanged.

# %%
print(keras_resnet.ORDERS["original"])
print(keras_resnet.ORDERS["preactivation"])
original = ResNet(keras_resnet.cifar(20), name="original")
preactivation = ResNet(keras_resnet.cifar(20, order="preactivation"), name="preactivation")
for model in (original, preactivation):
    show(model)
    print("  the first layers of a block:", [layer.name for layer in model.layers if "conv3_block2" in layer.name][:4])

# %% [markdown]
# Both have the same convolutions. Only the places of BN and ReLU differ. The blocks of ResNet-110 with pre-activation,
# as in Fig. 4 of He et al. 2016:
#
# ![blocks with pre-activation](../generated/preactivation.svg)
#
# ## Next
#
# - Train them: [Train, fine-tune, evaluate](../guides/finetune.md).
# - See what the shortcut does: [Results](../results.md).
# - Search over depth and shortcut: [A sweep](sweep.py).
