# %% [markdown]
# # Fine-tune a folder of images
#
# You have a folder of images, one sub-folder per class, and want a classifier. This tutorial writes such a folder,
# fine-tunes a network on it, and looks at class activation maps: the parts of the image that speak for the predicted
# class.
#
# It uses ResNet-20 with the weights in the package, so nothing is downloaded. For photos take `"resnet50"` with
# `weights="imagenet"`.

# %%
import os
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image, ImageDraw

import keras_resnet
from keras_resnet.training import finetune, predict

SMALL = os.environ.get("TUTORIAL_SIZE") == "small"
PER_CLASS = 20 if SMALL else 100
EPOCHS = 3 if SMALL else None  # None: the number of the recipe

# %% [markdown]
# ## The folder
#
# Three classes: a circle, a square or a cross, in a random color and at a random place, on a noisy background.

# %%
rng = np.random.default_rng(0)


def circle(draw, x, y, r, color):
    draw.ellipse((x - r, y - r, x + r, y + r), fill=color)


def square(draw, x, y, r, color):
    draw.rectangle((x - r, y - r, x + r, y + r), fill=color)


def cross(draw, x, y, r, color):
    draw.line((x - r, y - r, x + r, y + r), fill=color, width=3)
    draw.line((x - r, y + r, x + r, y - r), fill=color, width=3)


CLASSES = {"circle": circle, "cross": cross, "square": square}


def new_image(shape):
    pixels = rng.integers(0, 100, (32, 32, 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    x, y, r = [*rng.integers(10, 22, 2).tolist(), int(rng.integers(5, 9))]
    CLASSES[shape](ImageDraw.Draw(image), x, y, r, tuple(rng.integers(120, 256, 3).tolist()))
    return image


for name in CLASSES:
    folder = Path("shapes", name)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(PER_CLASS):
        new_image(name).save(folder / f"{number}.png")

# %% [markdown]
# ## Fine-tune
#
# One call holds out a fifth of each class for validation, replaces the classifier, trains and evaluates. Call it again,
# and it only evaluates.
#
# In the shell:
#
# ```shell
# python -m keras_resnet finetune folder:shapes resnet20 --weights cifar10 --directory runs/shapes
# ```

# %%
found = finetune("folder:shapes", "resnet20", weights="cifar10", directory="runs/shapes", epochs=EPOCHS)
print(found.evaluation.summary())
print(sorted(path.name for path in found.directory.iterdir()))

# %% [markdown]
# The warning says that the classifier is new: the weights have ten classes, the folder has three. The directory
# contains the network, the learning curves and a confusion matrix.
#
# ## Predict
#
# The network knows its preprocessing and its class names. `predict` takes paths, bytes, arrays and images.

# %%
images = {name: new_image(name) for name in CLASSES}
for name, classes in zip(images, predict(found.model, list(images.values())), strict=True):
    print(name, [(label, round(probability, 3)) for label, probability in classes])

# %% [markdown]
# ## Class activation maps
#
# The network ends in global average pooling and one dense layer. So the score of a class is a mean over the last
# feature map, and each position has a share in it. `explain` returns these shares, scaled to 0 to 1 (Zhou et al. 2016,
# arXiv:1512.04150).

# %%
batch = np.stack([np.asarray(image) for image in images.values()]).astype("float32")
heatmaps = keras_resnet.explain(found.model, batch)
assert heatmaps.shape == (3, 32, 32)

figure, axes = plt.subplots(2, 3, figsize=(6, 4))
for column, (name, image, heatmap) in enumerate(zip(images, batch, heatmaps, strict=True)):
    axes[0, column].imshow(image.astype("uint8"))
    axes[0, column].set_title(name)
    axes[1, column].imshow(keras_resnet.overlay(image, heatmap))
for axis in axes.flat:
    axis.axis("off")
figure.savefig("maps.png", dpi=120)

# %% [markdown]
# Open `maps.png`. Red parts speak for the class, blue parts do not. If a map is red on the background, the network has
# learned something about the images that is not the object. Then look at the data.
#
# ## Next
#
# - [All options of fine-tuning](../guides/finetune.md), such as frozen BN and a linear probe.
# - [Serve the network](serve.py).
