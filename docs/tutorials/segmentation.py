# %% [markdown]
# # Train a segmenter
#
# This tutorial trains a DeepLabV3+ whose backbone is a ResNet-18 of this package. The segmenter comes from
# [KerasHub](https://keras.io/keras_hub/). You will
#
# 1. draw images of discs, squares and triangles, with the class of each pixel,
# 2. use a ResNet with an output stride of 16 as the `image_encoder` of a KerasHub segmenter,
# 3. train the segmenter from random weights,
# 4. measure its mean IoU with `keras.metrics`.
#
# Install the packages with `pip install -e '.[tutorials]'` in a checkout of the repository.

# %%
import os

import keras
import keras_hub
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw

import keras_resnet

SEED = 0
CLASSES = ["background", "disc", "square", "triangle"]
SIZE = 96  # height and width of an image, in pixels
SMALL = os.environ.get("TUTORIAL_SIZE") == "small"  # a quick run that checks the code and learns little
TRAIN_IMAGES, TEST_IMAGES, EPOCHS = (64, 16, 3) if SMALL else (1024, 256, 8)

keras.utils.set_random_seed(SEED)

# %% [markdown]
# ## Draw the images
#
# Each image contains one to three shapes. Color, size and position are random, so a class can only be recognized by
# its outline. A shape may hide a part of an earlier one. Noise is added to all pixels of the image.
#
# The mask of an image has the same height and width. Each pixel of the mask is the index of a class: 0 is the
# background.


# %%
def draw_shape(draw, label, box, color):
    left, top, right, bottom = box
    if CLASSES[label] == "disc":
        draw.ellipse(box, fill=color)
    elif CLASSES[label] == "square":
        draw.rectangle(box, fill=color)
    else:
        draw.polygon([(left, bottom), (right, bottom), ((left + right) / 2, top)], fill=color)


def draw_image(rng):
    """Returns an image and its mask."""
    image = Image.new("RGB", (SIZE, SIZE), tuple(rng.integers(0, 256, 3)))
    mask = Image.new("L", (SIZE, SIZE), 0)
    for _ in range(rng.integers(1, 4)):
        label = int(rng.integers(1, len(CLASSES)))
        side = int(rng.integers(20, 45))
        left, top = rng.integers(0, SIZE - side, 2).tolist()
        box = (left, top, left + side, top + side)
        draw_shape(ImageDraw.Draw(image), label, box, tuple(rng.integers(0, 256, 3)))
        draw_shape(ImageDraw.Draw(mask), label, box, label)
    noisy = np.asarray(image) + rng.normal(0, 16, (SIZE, SIZE, 3))
    return noisy.clip(0, 255).astype("float32"), np.asarray(mask)


def draw_dataset(count, seed):
    rng = np.random.default_rng(seed)
    images, masks = zip(*(draw_image(rng) for _ in range(count)), strict=True)
    return np.stack(images), np.stack(masks)


train_images, train_masks = draw_dataset(TRAIN_IMAGES, SEED)
test_images, test_masks = draw_dataset(TEST_IMAGES, SEED + 1)
print(train_images.shape, train_masks.shape)

# %% [markdown]
# ## Build the segmenter
#
# `ResNet18(include_top=False)` is a ResNet without its classifier. `include_preprocessing="tf"` adds a layer that
# scales pixels from 0..255 to -1..1. `feature_pyramid` returns a model that outputs the last feature map of each
# stage.
#
# A stride is the number of input pixels per output pixel, in height and in width. The last feature map of a ResNet
# usually has stride 32: for our images, 3x3 pixels. That is too coarse for outlines. With `output_stride=16` the last
# stage does not reduce the resolution. Its convolutions are dilated instead, so each output still depends on as many
# input pixels.

# %%
pyramid = keras_resnet.feature_pyramid(
    keras_resnet.ResNet18(include_top=False, include_preprocessing="tf", output_stride=16)
)
print(pyramid.strides)
print({level: output.shape for level, output in pyramid.pyramid_outputs.items()})

# %% [markdown]
# KerasHub names a feature map by the logarithm of its stride: "P4" has stride 16 = 2⁴. KerasHub reads these names
# from `pyramid_outputs`, so a network of this package can be an `image_encoder`. Both conv4 and conv5 have stride 16
# here; "P4" is the deeper one, conv5.
#
# `DeepLabV3Backbone` applies atrous spatial pyramid pooling to "P4": parallel convolutions with different dilation
# rates (Chen et al. 2018). It enlarges the result from stride 16 to stride 4 (`upsampling_size=4`) and concatenates
# it with the low-level features of "P2". The paper's dilation rates are 6, 12 and 18. Our feature maps have only 6x6
# pixels, so we use smaller rates.

# %%
backbone = keras_hub.models.DeepLabV3Backbone(
    image_encoder=pyramid,
    spatial_pyramid_pooling_key="P4",
    upsampling_size=4,
    dilation_rates=[1, 2, 3],
    low_level_feature_key="P2",
    projection_filters=48,
    image_shape=(SIZE, SIZE, 3),
)
segmenter = keras_hub.models.DeepLabV3ImageSegmenter(backbone, num_classes=len(CLASSES))
print(f"{segmenter.count_params():,} parameters, output {segmenter.output_shape}")

# %% [markdown]
# ## Look at the predictions before training
#
# The segmenter outputs a logit for each class and pixel. The predicted class is the one with the largest logit.


# %%
def predict(images):
    return segmenter.predict(images, verbose=0).argmax(axis=-1)


def show(images, masks, predictions, file):
    figure, axes = plt.subplots(3, 6, figsize=(10, 5), layout="constrained")
    rows = {"image": images.astype("uint8"), "true mask": masks, "predicted": predictions}
    for (title, row), row_axes in zip(rows.items(), axes, strict=True):
        row_axes[0].set_ylabel(title)
        for picture, axis in zip(row, row_axes, strict=False):
            axis.imshow(picture, cmap="viridis", vmin=0, vmax=len(CLASSES) - 1, interpolation="nearest")
            axis.set(xticks=[], yticks=[])
    figure.savefig(file)


show(test_images, test_masks, predict(test_images), "segmentation_before.png")

# %% [markdown]
# ## Train
#
# The masks contain integers, so the loss is the sparse cross-entropy, of logits. IoU is the number of pixels in the
# intersection of the predicted and the true region of a class, divided by the number of pixels in their union.
# `MeanIoU` is the mean over the four classes, with the background as one of them.
#
# The learning rate falls to 0 along a cosine. We pass a `tf.data.Dataset` that shuffles. Models of KerasHub do not
# shuffle arrays, even with `shuffle=True`.

# %%
train_dataset = tf.data.Dataset.from_tensor_slices((train_images, train_masks)).shuffle(TRAIN_IMAGES).batch(16)
schedule = keras.optimizers.schedules.CosineDecay(1e-3, decay_steps=EPOCHS * len(train_dataset))
segmenter.compile(
    optimizer=keras.optimizers.Adam(schedule),
    loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=[keras.metrics.MeanIoU(len(CLASSES), sparse_y_pred=False, name="mean_iou")],
    jit_compile=False,
)
untrained = segmenter.evaluate(test_images, test_masks, return_dict=True, verbose=0)
history = segmenter.fit(train_dataset, epochs=EPOCHS, verbose=2)

# %% [markdown]
# ## Look at the predictions after training

# %%
predictions = predict(test_images)
show(test_images, test_masks, predictions, "segmentation_after.png")

# %% [markdown]
# ## Measure the mean IoU
#
# `evaluate` returns the mean. `keras.metrics.IoU` measures a single class.

# %%
trained = segmenter.evaluate(test_images, test_masks, return_dict=True, verbose=0)
for label, name in enumerate(CLASSES):
    iou = keras.metrics.IoU(len(CLASSES), target_class_ids=[label])
    iou.update_state(test_masks, predictions)
    print(f"IoU of {name}: {float(iou.result()):.2f}")
print(f"mean IoU before training: {untrained['mean_iou']:.2f}, after: {trained['mean_iou']:.2f}")

# %% [markdown]
# ## Result
#
# Measured with seed 0 on 2 cores, AMD EPYC with avx512_bf16, on 256 test images; the whole script took 4 min 0 s:
#
# | | mean IoU |
# |---|---:|
# | before training | 0.21 |
# | after 8 epochs of 1024 images | 0.83 |
#
# After training, the IoU is 0.97 for the background, 0.80 for discs, 0.81 for squares and 0.74 for triangles. In the
# picture after training, most shapes are found and their corners are rounded.
