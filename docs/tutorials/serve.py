# %% [markdown]
# # From training to TF Serving
#
# This tutorial trains a small network, exports it as a SavedModel, and calls the SavedModel with JPEG files, as a
# server does.

# %%
import io
import json
import os
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from PIL import Image

import keras_resnet
from keras_resnet.training import Run, load_data

SMALL = os.environ.get("TUTORIAL_SIZE") == "small"

# %% [markdown]
# ## Train
#
# The data set is `digits` of scikit-learn, with images of 32x32 pixels. The directory of the run contains the
# network with its preprocessing.

# %%
sizes = dict(fields={"filters": 8}, epochs=1, train_examples=128) if SMALL else dict(epochs=10)
sizes |= dict(changes={"batch_size": 32, "learning_rate": 0.05})  # the recipe is made for CIFAR-10
result = Run("resnet20", "digits", "fast", **sizes)("runs/digits")
print(result["validation_accuracy"])

# %% [markdown]
# ## Export
#
# `labels` are the names of the classes; here they are the digits. `signatures` also asks for activation maps. The
# export is loaded and compared with the model before it gets its name. `warmup` writes requests that the server runs
# when it starts; it needs the extra `serving`.
#
# In the shell: `python -m keras_resnet export runs/digits models/digits --server-config`.

# %%
model = keras.models.load_model("runs/digits/model.keras")
report = keras_resnet.export_saved_model(
    model,
    "models/digits",
    labels=[str(digit) for digit in range(10)],
    top_k=3,
    signatures=["images", "image_bytes", "cam_bytes"],
    warmup=(1, 8),
    server_config=True,
)
print(report["path"], report["bytes"], report["agreement"])
print(Path("models/models.config").read_text())

# %% [markdown]
# ## Load the SavedModel and call it
#
# TF Serving does this with the same files. `image_bytes` takes files of any size.

# %%
data = load_data("digits")
files = []
for pixels in data.test.images[:3]:
    file = io.BytesIO()
    Image.fromarray(pixels).resize((64, 48)).save(file, "JPEG")
    files.append(file.getvalue())

loaded = tf.saved_model.load(report["path"])
outputs = loaded.signatures["image_bytes"](image_bytes=tf.constant(files))
for labels, scores in zip(outputs["top_labels"].numpy(), outputs["top_scores"].numpy(), strict=True):
    print([(label.decode(), round(float(score), 3)) for label, score in zip(labels, scores, strict=True)])

# %% [markdown]
# `serving_default` takes arrays of pixels. Its probabilities are those of the model.

# %%
images = data.test.images[:3].astype("float32")
served = loaded.signatures["serving_default"](image=tf.constant(images))["probabilities"].numpy()
np.testing.assert_allclose(served, model.predict(images, verbose=0), atol=0.02)

maps = loaded.signatures["cam_bytes"](image_bytes=tf.constant(files))["cam"].numpy()
print(maps.shape, maps.min(), maps.max())
print(json.dumps(report["signatures"])[:300])

# %% [markdown]
# ## The server
#
# These commands are not run here. They need Docker. `models.config` lists the model under the name of its directory,
# `digits`.
#
# ```shell
# docker run --rm -p 127.0.0.1:8501:8501 -v "$PWD/models:/models:ro" tensorflow/serving \
#     --model_config_file=/models/models.config
# ```
#
# ```shell
# (printf '{"signature_name": "image_bytes", "instances": [{"b64": "'; base64 < digit.jpg | tr -d '\n'; printf '"}]}') |
#     curl -s http://127.0.0.1:8501/v1/models/digits:predict -d @-
# ```
#
# The answer is JSON with `top_labels`, `top_scores`, `top_ids` and `probabilities` for each image. A new export becomes
# version 2, and the server loads it while version 1 answers.
#
# ## Next
#
# - [Export and serve](../guides/serving.md): all signatures, gRPC, ONNX, LiteRT, OpenVINO.
# - [Speed](../guides/speed.md).
