"""Training recipes: `RECIPES` has one row per recipe. `Recipe` documents the columns."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, NamedTuple

import keras

from keras_resnet.errors import choose, positive, within
from keras_resnet.fine_tuning import freeze, layer_decay, network_stages
from keras_resnet.training.augmentation import AUGMENTATIONS

schedules = keras.optimizers.schedules


# ------------------------------------------------------------------------------------------ learning rate


def constant(rate: float, steps: int, warmup: int):
    """Returns `rate` for all steps. `ReduceLROnPlateau` needs a constant learning rate."""
    if warmup:
        raise ValueError("The schedule 'constant' has no warm-up: warmup must be 0")
    return rate


def divided_by_ten(*fractions: float) -> Callable:
    """Divides `rate` by 10 after each of these fractions of all steps. The first `warmup` steps use `rate / 10`."""

    def schedule(rate: float, steps: int, warmup: int):
        boundaries = [int(fraction * steps) for fraction in fractions]
        rates = [rate / 10**power for power in range(len(fractions) + 1)]
        if warmup:
            boundaries, rates = [warmup, *boundaries], [rate / 10, *rates]
        return schedules.PiecewiseConstantDecay(boundaries, rates)

    return schedule


def ramp_and_divide(*fractions: float) -> Callable:
    """Like `divided_by_ten`, but the rate increases linearly from 0 over the first `warmup` steps."""

    def schedule(rate: float, steps: int, warmup: int):
        return LinearWarmup(divided_by_ten(*fractions)(rate, steps, 0), rate, warmup)

    return schedule


def cosine(rate: float, steps: int, warmup: int):
    """Increases linearly from 0 to `rate` over `warmup` steps, then decreases to 0 as a cosine."""
    if not warmup:
        return schedules.CosineDecay(rate, max(1, steps))
    return schedules.CosineDecay(0.0, max(1, steps - warmup), warmup_target=rate, warmup_steps=warmup)


@keras.saving.register_keras_serializable("keras_resnet")
class LinearWarmup(keras.optimizers.schedules.LearningRateSchedule):
    """Increases the learning rate linearly from 0 to `rate` over `warmup` steps, then follows `schedule`."""

    def __init__(self, schedule, rate: float, warmup: int):
        self.schedule, self.rate, self.warmup = schedule, rate, warmup

    def __call__(self, step):
        step = keras.ops.cast(step, "float32")
        rising = self.rate * step / max(1, self.warmup)
        return keras.ops.where(step < self.warmup, rising, self.schedule(step))

    def get_config(self):
        schedule = keras.saving.serialize_keras_object(self.schedule)
        return {"schedule": schedule, "rate": self.rate, "warmup": self.warmup}

    @classmethod
    def from_config(cls, config):
        return cls(**config | {"schedule": keras.saving.deserialize_keras_object(config["schedule"])})


# name -> function (learning rate, number of steps, number of warm-up steps) that returns a number or a schedule
SCHEDULES: dict[str, Callable] = {
    "constant": constant,
    "halves": divided_by_ten(1 / 2, 3 / 4),  # He 2015, section 4.2: at 32k and 48k of 64k iterations
    "thirds": divided_by_ten(1 / 3, 2 / 3, 8 / 9),  # 30, 60 and 80 of 90 epochs
    "thirds_warmup": ramp_and_divide(1 / 3, 2 / 3, 8 / 9),  # arXiv:1706.02677, section 5.1
    "bit": ramp_and_divide(0.3, 0.6, 0.9),  # arXiv:1912.11370, section 3.3
    "bit_small": ramp_and_divide(0.4, 0.6, 0.8),  # the same for fewer than 20,000 images
    "cosine": cosine,
}


# ---------------------------------------------------------------------------------------------- optimizer


class Optimizer(NamedTuple):
    """An optimizer, and how it applies the weight decay of a recipe."""

    make: Callable  # (learning rate, **settings) -> a Keras optimizer
    decoupled: bool  # True: the optimizer decays the kernels. False: L2 loss of the kernels, as in the papers


OPTIMIZERS = {
    "sgd": Optimizer(lambda rate, **settings: keras.optimizers.SGD(rate, momentum=0.9, **settings), decoupled=False),
    "nesterov": Optimizer(
        lambda rate, **settings: keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **settings), decoupled=False
    ),
    "adamw": Optimizer(keras.optimizers.AdamW, decoupled=True),
    "lamb": Optimizer(keras.optimizers.Lamb, decoupled=True),
}


# --------------------------------------------------------------------------------------------------- loss


@keras.saving.register_keras_serializable("keras_resnet")
class SmoothedCrossentropy(keras.losses.CategoricalCrossentropy):
    """Cross-entropy with label smoothing, for labels (b,) or class distributions (b, classes)."""

    def call(self, y_true, y_pred):
        return super().call(distributions(y_true, y_pred), y_pred)


@keras.saving.register_keras_serializable("keras_resnet")
class BinaryCrossentropy(keras.losses.BinaryCrossentropy):
    """Binary cross-entropy of each class (arXiv:2110.00476, section 2), summed over the classes."""

    def call(self, y_true, y_pred):
        return y_pred.shape[-1] * super().call(distributions(y_true, y_pred), y_pred)


def distributions(y_true, y_pred):
    """Converts labels (b,) or (b, 1) to one-hot vectors (b, classes). Returns other arrays unchanged."""
    if len(y_true.shape) == 2 and y_true.shape[-1] != 1:
        return y_true
    labels = keras.ops.cast(keras.ops.reshape(y_true, (-1,)), "int32")
    return keras.ops.one_hot(labels, y_pred.shape[-1])


class Loss(NamedTuple):
    """A loss, and the classifier activation that the loss requires."""

    make: Callable  # label smoothing -> a loss for labels or class distributions
    activation: str


LOSSES = {
    "crossentropy": Loss(lambda smoothing: SmoothedCrossentropy(label_smoothing=smoothing), "softmax"),
    "binary_crossentropy": Loss(lambda smoothing: BinaryCrossentropy(label_smoothing=smoothing), "sigmoid"),
}


# ---------------------------------------------------------------------------------------------- the recipe


@dataclass(frozen=True)
class Recipe:
    """All training settings except for the network, the data set and the seed.

    Args:
        source: The publication of the recipe.
        epochs: Number of epochs. Defaults to None: `steps` is given instead.
        steps: Number of training steps. It is rounded up to whole epochs.
        batch_size: Images per step, summed over all devices. If a data set has fewer images, a batch has all of them.
        optimizer: Name of `OPTIMIZERS`.
        learning_rate: The highest learning rate.
        schedule: Name of `SCHEDULES`.
        warmup: Duration of the warm-up, as a fraction of all steps.
        warmup_depth: Networks with fewer weight layers have no warm-up. Defaults to 0: all networks have the warm-up.
        weight_decay: Weight decay of the kernels, lambda in lambda / 2 * sum(w ** 2).
        loss: Name of `LOSSES`.
        label_smoothing: Probability that is distributed evenly over all classes.
        augmentation: Name of `AUGMENTATIONS`.
        plateau: The learning rate is divided by 10 if the validation loss does not improve for this number of epochs
            (`keras.callbacks.ReduceLROnPlateau`). 0: a tenth of all epochs, at least 1. None: never.
        early_stopping: The run stops if the validation loss does not improve for this number of epochs. None: never.
        ema: Momentum of the moving average of the weights. The average is evaluated and saved. None: no average.
        accumulate: Number of steps whose gradients are accumulated before the weights are updated.
        layer_decay: Ratio of the learning rates of adjacent stages, see `keras_resnet.layer_decay`. None: equal rates.
        freeze: The last stage that is not trained, see `keras_resnet.freeze`. `"all"`: only the classifier is trained.
        freeze_batch_norm: Whether all BatchNormalization layers use their moving statistics and do not update them.
        image_size: Height and width of the training images. None: the size of the data set or of the row.
        evaluation_size: Height and width of the evaluated images. None: `image_size`.
        crop: Size of the center crop in the evaluation, as a fraction of the shorter side.
        fields: Fields of `keras_resnet.Variant` that the recipe sets, as pairs (name, value).
        scale: Name of `SCALES`, a rule that adapts the recipe to the number of training images and the batch size.

    Example:
        >>> recipe = RECIPES["paper"]
        >>> recipe.optimizer, recipe.learning_rate, recipe.weight_decay
        ('sgd', 0.1, 0.0001)
    """

    source: str
    epochs: int | None = None
    steps: int | None = None
    batch_size: int = 128
    optimizer: str = "sgd"
    learning_rate: float = 0.1
    schedule: str = "constant"
    warmup: float = 0.0
    warmup_depth: int = 0
    weight_decay: float = 1e-4
    loss: str = "crossentropy"
    label_smoothing: float = 0.0
    augmentation: str = "cifar"
    plateau: int | None = None
    early_stopping: int | None = None
    ema: float | None = None
    accumulate: int = 1
    layer_decay: float | None = None
    freeze: str | None = None
    freeze_batch_norm: bool = False
    image_size: int | None = None
    evaluation_size: int | None = None
    crop: float = 1.0
    fields: tuple[tuple[str, Any], ...] = ()
    scale: str = "none"

    def __post_init__(self):
        for name, table in TABLES.items():
            choose(table, getattr(self, name), name)
        if (self.epochs is None) == (self.steps is None):
            raise ValueError(
                f"Either epochs or steps must be given. Received: epochs={self.epochs}, steps={self.steps}"
            )
        for name in ("epochs", "steps", "early_stopping", "image_size", "evaluation_size"):
            if getattr(self, name) is not None:
                positive(getattr(self, name), name)
        positive(self.batch_size, "batch_size")
        positive(self.accumulate, "accumulate")
        within(self.learning_rate, "learning_rate", "more than 0")
        within(self.weight_decay, "weight_decay", "0 or more")
        within(self.crop, "crop", "in (0, 1]")
        for name in ("warmup", "label_smoothing"):
            within(getattr(self, name), name, "in [0, 1)")
        if self.ema is not None:
            within(self.ema, "ema", "in [0, 1)")
        if self.layer_decay is not None:
            within(self.layer_decay, "layer_decay", "in (0, 1]")
        if self.plateau is not None and self.schedule != "constant":
            raise ValueError(
                f"plateau needs the schedule 'constant': a schedule sets the learning rate itself. Received: plateau="
                f"{self.plateau}, schedule={self.schedule!r}"
            )
        if self.layer_decay is not None and self.ema is not None:
            raise ValueError("layer_decay and ema cannot be combined: Keras does not average over several optimizers")

    def training_epochs(self, steps_per_epoch: int) -> int:
        """Returns the number of epochs, at least 1."""
        return self.epochs or max(1, -(-(self.steps or 0) // steps_per_epoch))

    def make_optimizer(self, model: keras.Model, steps: int, depth: int) -> keras.optimizers.Optimizer:
        """Returns the optimizer of `model` for `steps` steps. `depth` is the number of weight layers."""
        warmup = int(self.warmup * steps) if depth >= self.warmup_depth else 0
        rate = SCHEDULES[self.schedule](self.learning_rate, steps, warmup)
        settings: dict[str, Any] = {}
        if self.ema is not None:
            settings |= {"use_ema": True, "ema_momentum": self.ema}
        if self.accumulate > 1:
            settings |= {"gradient_accumulation_steps": self.accumulate}
        make, decoupled = OPTIMIZERS[self.optimizer]
        if decoupled:
            settings |= {"weight_decay": self.weight_decay}
        optimizer = make(rate, **settings)
        if self.layer_decay is not None:
            return layer_decay(optimizer, model, self.layer_decay)
        if decoupled:
            optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
        return optimizer

    def variant_fields(self) -> dict[str, Any]:
        """Returns the fields of the variant that the recipe sets. `weight_decay` is 0 if the optimizer applies it."""
        decay = 0.0 if OPTIMIZERS[self.optimizer].decoupled else self.weight_decay
        return dict(self.fields) | {"weight_decay": decay}

    def freeze_layers(self, model: keras.Model) -> None:
        """Freezes the layers of `model` that the recipe does not train."""
        stages = list(network_stages(model))
        up_to = stages[-1] if self.freeze == "all" else self.freeze
        if up_to is not None or self.freeze_batch_norm:
            freeze(model, up_to, batch_norm=self.freeze_batch_norm or self.freeze == "all")

    def make_loss(self) -> keras.losses.Loss:
        return LOSSES[self.loss].make(self.label_smoothing)


def unscaled(recipe: Recipe, examples: int) -> Recipe:
    return recipe


def linear_scaling(recipe: Recipe, examples: int) -> Recipe:
    """Multiplies the learning rate, which is for 256 images, by batch_size / 256 (arXiv:1706.02677, section 2.1)."""
    return replace(recipe, learning_rate=recipe.learning_rate * recipe.batch_size / 256)


def bit_hyper_rule(recipe: Recipe, examples: int) -> Recipe:
    """Adapts the number of steps and the schedule to the number of images (arXiv:1912.11370, section 3.3).

    The numbers are from github.com/google-research/big_transfer, bit_hyperrule.py.
    """
    if examples < 20_000:
        return recipe
    steps = 10_000 if examples < 500_000 else 20_000
    length: dict[str, Any] = {"steps": steps} if recipe.epochs is None else {}
    return replace(recipe, **length, schedule="bit", warmup=500 / steps, augmentation="finetune_mixup")


# name -> function (recipe, number of training images) that returns the adapted recipe
SCALES: dict[str, Callable[[Recipe, int], Recipe]] = {
    "none": unscaled,
    "linear": linear_scaling,
    "bit": bit_hyper_rule,
}

TABLES: dict[str, dict] = {
    "optimizer": OPTIMIZERS,
    "schedule": SCHEDULES,
    "loss": LOSSES,
    "augmentation": AUGMENTATIONS,
    "scale": SCALES,
}


def find_recipe(name: str, changes: Mapping[str, Any], examples: int) -> Recipe:
    """Returns the recipe of a run.

    Args:
        name: Name of `RECIPES`.
        changes: Fields that are replaced. `epochs` also replaces `steps`, and `steps` also replaces `epochs`.
        examples: Number of training images. It limits the batch size, and the `scale` of the recipe may use it.

    Returns:
        A `Recipe`.

    Raises:
        ValueError: If the recipe or a field does not exist, or if a value is not allowed.
    """
    recipe, changes = choose(RECIPES, name, "recipe"), dict(changes)
    allowed = {field.name: field for field in fields(Recipe) if field.name not in ("source", "scale")}
    for field in changes:
        choose(allowed, field, "The name of a field of the recipe")
    for field, other in (("epochs", "steps"), ("steps", "epochs")):
        if changes.get(field) is not None:
            changes.setdefault(other, None)
    if changes.get("plateau") is not None:
        changes = {"schedule": "constant", "warmup": 0.0} | changes
    recipe = replace(recipe, **changes)
    recipe = replace(recipe, batch_size=min(recipe.batch_size, examples))
    changes.pop("batch_size", None)
    return replace(SCALES[recipe.scale](recipe, examples), **changes)


IMAGENET: dict[str, Any] = dict(batch_size=256, learning_rate=0.1, weight_decay=1e-4, crop=224 / 256)

RECIPES = {
    # 64k iterations with batches of 128 of 50,000 images are 164 epochs. The paper subtracts the mean of each pixel.
    # Here the mean of each channel is subtracted, and the result is divided by the standard deviation.
    "paper": Recipe(
        "He 2015, section 4.2, on CIFAR-10; networks of 110 layers and more start at 0.01 for 400 of 64k iterations",
        epochs=164,
        schedule="halves",
        warmup=1 / 160,
        warmup_depth=110,
    ),
    "fast": Recipe(
        "one cycle: Smith and Topin 2017, arXiv:1708.07120; alternating flip: Jordan 2024, arXiv:2404.00498",
        epochs=30,
        optimizer="nesterov",
        learning_rate=0.2,
        schedule="cosine",
        warmup=0.15,
        weight_decay=5e-4,
        label_smoothing=0.1,
        augmentation="cifar_alternating",
    ),
    "plateau": Recipe(
        "He 2015, section 4.2, with the learning rate divided by 10 when the validation loss stops to decrease",
        epochs=30,
        plateau=0,
    ),
    # 600,000 iterations with batches of 256 of 1,281,167 images are 120 epochs. The paper does not define the length of
    # a plateau.
    "imagenet_paper": Recipe(
        "He 2015, section 3.4",
        epochs=120,
        plateau=5,
        augmentation="imagenet_paper",
        image_size=224,
        **IMAGENET,
    ),
    "imagenet_goyal": Recipe(
        "Goyal et al. 2017, arXiv:1706.02677, section 5.1; the warm-up starts at 0, there at 0.1",
        epochs=90,
        optimizer="nesterov",
        schedule="thirds_warmup",
        warmup=5 / 90,
        augmentation="inception",
        image_size=224,
        fields=(("zero_init_residual", True),),
        scale="linear",
        **IMAGENET,
    ),
    "imagenet_a3": Recipe(
        "Wightman et al. 2021, arXiv:2110.00476, Table 2, A3",
        epochs=100,
        batch_size=2048,
        optimizer="lamb",
        learning_rate=8e-3,
        schedule="cosine",
        warmup=5 / 100,
        weight_decay=0.02,
        loss="binary_crossentropy",
        augmentation="imagenet_a3",
        image_size=160,
        evaluation_size=224,
        crop=0.95,
    ),
    "finetune": Recipe(
        "after BiT-HyperRule: Kolesnikov et al. 2020, arXiv:1912.11370, section 3.3, with a batch of 64",
        steps=500,
        batch_size=64,
        learning_rate=0.003,
        schedule="bit_small",
        warmup=0.2,
        weight_decay=0.0,
        augmentation="finetune",
        scale="bit",
    ),
    "linear_probe": Recipe(
        "Chen et al. 2020, arXiv:2002.05709, appendix B.6: only the classifier is trained",
        steps=500,
        batch_size=64,
        optimizer="nesterov",
        learning_rate=0.1,
        schedule="cosine",
        weight_decay=0.0,
        augmentation="finetune",
        freeze="all",
        freeze_batch_norm=True,
    ),
}
