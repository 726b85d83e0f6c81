# %% [markdown]
# # A sweep over depth and shortcut
#
# Does the shortcut matter, and how deep should a network be? This tutorial searches with Keras Tuner. `HyperResNet`
# describes the networks; Keras Tuner chooses which of them to train.
#
# The data set is `digits` of scikit-learn: 1,797 images of 8x8 pixels, here resized to 32x32. Nothing is downloaded.

# %%
import os

import keras
import keras_tuner

from keras_resnet.training import load_data
from keras_resnet.tuner import HyperResNet

SMALL = os.environ.get("TUTORIAL_SIZE") == "small"
DEPTHS = [8, 14] if SMALL else [8, 14, 20, 32]
EPOCHS = 1 if SMALL else 10

data = load_data("digits", train_examples=100 if SMALL else None)
train = data.train.images.astype("float32"), data.train.labels
validation = data.validation.images.astype("float32"), data.validation.labels
print(train[0].shape, validation[0].shape)

# %% [markdown]
# ## The search space
#
# `depths` and `shortcuts` are what we search over. A list with one value is not searched. `max_parameters` removes
# networks that are too large before anything is built. `preprocessing` normalizes the images inside the model.

# %%
hypermodel = HyperResNet(
    (32, 32, 3),
    classes=10,
    depths=DEPTHS,
    shortcuts=["A", "B", "plain"],
    learning_rates=[0.05],
    max_parameters=500_000,
    preprocessing=keras.layers.Rescaling(1 / 255),
)

# %% [markdown]
# ## The search
#
# Every tuner of Keras Tuner works. `GridSearch` tries every combination; here it stops after a few if the tutorial is
# small. Trials are stored in `tuner/sweep`: with `overwrite=False` the same program resumes.

# %%
tuner = keras_tuner.GridSearch(
    hypermodel,
    objective="val_accuracy",
    max_trials=2 if SMALL else 12,
    seed=1,
    directory="tuner",
    project_name="sweep",
    overwrite=True,
)
tuner.search(*train, validation_data=validation, epochs=EPOCHS, batch_size=64, verbose=0)

# %% [markdown]
# ## The result

# %%
trials = tuner.oracle.get_best_trials(num_trials=12)
for trial in trials:
    values = hypermodel.values(trial.hyperparameters)
    print(f"{trial.score:.4f}", {name: values[name] for name in ("depth", "shortcut")})

best = tuner.get_best_models()[0]
print(best.name, best.count_params())
assert best.output_shape == (None, 10)

# %% [markdown]
# Do not read much into one run per network: two seeds of the same network differ as well. The command `python -m
# experiments.sweep --seeds 3` trains each combination three times, resumes after a kill, and writes a report with
# figures.
#
# ```shell
# python -m experiments.sweep --dataset digits --depths 8 14 20 --shortcuts A B plain --seeds 3
# ```
#
# ## Next
#
# - [Sweeps](../guides/sweeps.md): the command and its report.
# - [Clusters](../guides/clusters.md): many machines.
# - [The papers](../guides/papers.md): the answer of He et al., with the same networks.
