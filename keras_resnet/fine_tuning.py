"""Fine-tuning: frozen stages, layer-wise learning rates, a new classifier."""

import re
from dataclasses import replace

import keras

from keras_resnet.errors import choose, positive, within
from keras_resnet.network import Network, describe, networks
from keras_resnet.resnet import recursion_limit

# Layers of a stage. conv1 and pool1 are the stem; pool2, pool3, ... are the transitions of DenseNets.
NUMBERED = re.compile(r"(?:conv|pool)(\d+)(?:_.*)?")
# BN and ReLU after the last block of pre-activation networks and DenseNets.
FINAL_LAYERS = re.compile(r"post_.*|bn|relu")


def freeze(model: keras.Model, up_to: str | None = "conv4", batch_norm: bool = True) -> None:
    """Freezes the stem and the first stages of a network.

    The weights of a frozen layer are not trained. A frozen BatchNormalization layer uses its moving statistics and does
    not update them. This function changes only the `trainable` attributes of layers. Keras reads these attributes when
    the model is compiled, so compile the model afterwards. `freeze` does not make any layer trainable. To unfreeze all
    layers first, set `model.trainable = True`.

    Args:
        model: A network built by this package, or a model that contains one. Layers outside of the network, such as
            your own head, are not changed.
        up_to: The last stage to freeze: `"stem"`, `"conv2"`, `"conv3"`, ... Defaults to `"conv4"`. The name of the
            last stage freezes all layers except the classifier. None freezes no stage.
        batch_norm: Whether to freeze all BatchNormalization layers of the network, also those of later stages. This is
            useful because small batches give inaccurate statistics. Defaults to True. GroupNormalization is not
            affected.

    Raises:
        ValueError: If `model` contains no network of this package, if the network has no stage `up_to`, or if there is
            nothing to freeze.

    Example:
        >>> base = keras_resnet.ResNet18(include_top=False, pooling="avg", input_shape=(64, 64, 3))
        >>> model = keras.Sequential([base, keras.layers.Dense(5)])
        >>> keras_resnet.freeze(model, up_to="conv4")
        >>> model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        >>> [variable.path for variable in model.trainable_variables][:2]
        ['conv5_block1_1_conv/kernel', 'conv5_block1_0_conv/kernel']
    """
    stages = network_stages(model)
    if up_to is None:
        if not batch_norm:
            raise ValueError("up_to must name a stage if batch_norm is False. Received: up_to=None")
        count = 0
    else:
        choose(stages, up_to, "up_to")
        count = 1 + list(stages).index(up_to)
    for number, layers in enumerate(stages.values()):
        for layer in layers:
            if number < count or (batch_norm and isinstance(layer, keras.layers.BatchNormalization)):
                layer.trainable = False


def layer_decay(optimizer: str | keras.optimizers.Optimizer, model: keras.Model, decay: float) -> "LayerDecay":
    """Returns an optimizer whose learning rate decreases from the head of a network to its stem.

    The learning rate of a stage is `learning_rate * decay**distance`. The distance is 0 for the head, 1 for the last
    stage, 2 for the stage before it, and so on. The stem has the largest distance. All variables outside of the stages,
    such as those of your own layers, belong to the head. Howard and Ruder 2018, arXiv:1801.06146, section 3.2, call
    this method discriminative fine-tuning and divide the learning rate by 2.6 between layers.

    Args:
        optimizer: An optimizer of Keras, or its name such as `"adamw"`. Its settings are copied, but not its state. The
            learning rate may be a number or a `LearningRateSchedule`.
        model: The model to be trained: a network built by this package, or a model that contains one.
        decay: The ratio of the learning rates of two neighbouring groups, in (0, 1].

    Returns:
        A `LayerDecay` optimizer.

    Raises:
        ValueError: If `model` contains no network of this package, or if `decay` is not in (0, 1]. Also if the
            optimizer wraps other optimizers, if its learning rate is a function, or if it has a `global_clipnorm`,
            because the global norm would be computed separately for each group.

    Example:
        >>> model = keras_resnet.ResNet20()
        >>> optimizer = keras_resnet.layer_decay(keras.optimizers.SGD(0.1, momentum=0.9), model, decay=0.5)
        >>> {group: round(rate, 4) for group, rate in optimizer.learning_rates.items()}
        {'stem': 0.0063, 'conv2': 0.0125, 'conv3': 0.025, 'conv4': 0.05, 'head': 0.1}
        >>> model.compile(optimizer, "sparse_categorical_crossentropy")
    """
    stages = list(network_stages(model))
    groups = []
    for stage in stages:
        number = 1 if stage == "stem" else int(stage.removeprefix("conv"))
        layer = rf"(?:conv|pool){number}_[^/]*"
        groups.append(
            (stage, rf"(?:.*/)?(?:{layer}|post_[^/]*|bn)/.*" if stage == stages[-1] else rf"(?:.*/)?{layer}/.*")
        )
    return LayerDecay(keras.optimizers.get(optimizer), groups, decay)


@keras.saving.register_keras_serializable("keras_resnet")
class LayerDecay(keras.optimizers.MultiOptimizer):
    """The optimizer that `layer_decay` returns.

    Its `learning_rate` is the learning rate of the head. Assigning a value to it scales the learning rates of all
    groups. `ReduceLROnPlateau` and `LearningRateScheduler` therefore keep their ratios. `learning_rates` contains the
    learning rate of each group. A compiled model is saved with this optimizer and its state.

    Args:
        optimizer: The optimizer of the head. Its settings are copied for the other groups.
        groups: Pairs `(name, regular expression for the paths of variables)`, from the stem to the last stage.
        decay: The ratio of the learning rates of two neighbouring groups, in (0, 1].
        name: The name of the optimizer.
    """

    def __init__(self, optimizer, groups, decay, name=None):
        wrappers = (keras.optimizers.MultiOptimizer, keras.optimizers.LossScaleOptimizer)
        if isinstance(optimizer, wrappers):
            raise ValueError(f"optimizer must not wrap other optimizers. Received: {type(optimizer).__name__}")
        if optimizer.global_clipnorm is not None:
            raise ValueError(
                "optimizer must not have a global_clipnorm, which would be computed for each group by itself; "
                f"clipnorm and clipvalue are possible. Received: global_clipnorm={optimizer.global_clipnorm}"
            )
        decay = float(within(decay, "decay", "in (0, 1]"))
        factors = [decay**distance for distance in range(len(groups), -1, -1)]
        config = optimizer.get_config()
        rate = _learning_rate(config)
        names = [*(f"{optimizer.name}_{group}" for group, _ in groups), optimizer.name]
        *stages, head = (
            type(optimizer).from_config(config | {"learning_rate": _scaled(rate, factor), "name": name})
            for name, factor in zip(names, factors, strict=True)
        )
        patterns = (pattern for _, pattern in groups)
        by_path = keras.optimizers.OptimizerMap(head, dict(zip(patterns, stages, strict=True)))
        super().__init__(by_path, loss_scale_factor=optimizer.loss_scale_factor, name=name)
        self.groups = [list(group) for group in groups]
        self.decay = decay
        self.factors = factors

    @property
    def optimizers(self):
        # With this attribute, the callbacks of Keras would change each optimizer separately. LearningRateScheduler
        # would set the same learning rate for all of them.
        raise AttributeError("LayerDecay has one learning_rate for all of its optimizers")

    @property
    def learning_rates(self) -> dict[str, float]:
        """The learning rate of each group."""
        rates = [float(keras.ops.convert_to_numpy(optimizer.learning_rate)) for optimizer in super().optimizers]
        return dict(zip([*dict(self.groups), "head"], rates, strict=True))

    @property
    def learning_rate(self):
        return super().optimizers[-1].learning_rate

    @learning_rate.setter
    def learning_rate(self, value):
        for optimizer, factor in zip(super().optimizers, self.factors, strict=True):
            optimizer.learning_rate = _scaled(value, factor)

    def save_own_variables(self, store):
        """Saves only `iterations`: Keras saves the variables of the inner optimizers separately.

        The method of MultiOptimizer would save these variables a second time.
        """
        store["iterations"] = keras.ops.convert_to_numpy(self.iterations)

    def load_own_variables(self, store):
        self.iterations.assign(store["iterations"])

    def get_config(self):
        return {
            "optimizer": keras.optimizers.serialize(super().optimizers[-1]),
            "groups": self.groups,
            "decay": self.decay,
            "name": self.name,
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        optimizer = keras.optimizers.deserialize(config["optimizer"], custom_objects)
        return cls(**config | {"optimizer": optimizer})


class ScaledSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Another schedule multiplied by `factor`. `LayerDecay` saves the other schedule."""

    def __init__(self, schedule, factor):
        self.schedule, self.factor = schedule, factor

    def __call__(self, step):
        return self.schedule(step) * self.factor


def _learning_rate(config: dict):
    """Returns the learning rate in the config of an optimizer, a number or a schedule."""
    rate = config["learning_rate"]
    if isinstance(rate, dict):
        rate = keras.saving.deserialize_keras_object(rate)
        if not isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
            raise ValueError(
                "The learning rate of optimizer must be a number or a LearningRateSchedule. "
                f"Received: {config['learning_rate']}"
            )
    return rate


def _scaled(rate, factor: float):
    if isinstance(rate, keras.optimizers.schedules.LearningRateSchedule):
        return rate if factor == 1 else ScaledSchedule(rate, factor)
    return rate * factor


def reset_classifier(model: Network, classes: int, activation="softmax") -> Network:
    """Returns a model with a new, randomly initialized classifier.

    All other layers are shared with `model`, which is not changed. The new model is not compiled.

    Args:
        model: A network built by this package with `include_top=True`, not a model that contains one.
        classes: The number of outputs of the new classifier.
        activation: The activation of the new classifier. None returns the logits. Defaults to `"softmax"`.

    Returns:
        A network like `model`, `(b, h, w, c) -> (b, classes)`. The other settings of its layer `predictions`, such as
        dtype and weight decay, are those of the old layer.

    Raises:
        ValueError: If `model` does not end in a layer `predictions`, or if `classes` is not a positive integer.

    Example:
        >>> model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
        >>> model = keras_resnet.reset_classifier(model, classes=3)
        >>> model.output_shape
        (None, 3)
    """
    classes = positive(classes, "classes")
    layers = {layer.name: layer for layer in model.layers} if isinstance(model, Network) else {}
    old = layers.get("predictions")
    if not isinstance(old, keras.layers.Dense) or len(model.outputs) != 1 or model.output is not old.output:
        raise ValueError(
            "model must be a network of keras_resnet with include_top=True, which ends in the layer 'predictions'. "
            f"Received: {model!r}"
        )
    new = keras.layers.Dense.from_config(
        old.get_config() | {"units": classes, "activation": activation, "trainable": True}
    )
    inputs = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    with recursion_limit(10 * len(model.layers)):
        description = model.description._replace(variant=replace(model.variant, classes=classes), class_names=None)
        return describe(Network(inputs, new(old.input), name=model.name), description)


def network_stages(model: keras.Model) -> dict[str, list[keras.layers.Layer]]:
    """Returns the layers of each stage of the networks in `model`: `{"stem": [...], "conv2": [...], ...}`.

    The layers of the head are not included.
    """
    stages: dict[int, list] = {}
    for network in networks(model):
        numbers = [int(match[1]) for layer in network.layers if (match := NUMBERED.fullmatch(layer.name))]
        for layer in network.layers:
            if match := NUMBERED.fullmatch(layer.name):
                stages.setdefault(int(match[1]), []).append(layer)
            elif FINAL_LAYERS.fullmatch(layer.name):
                stages.setdefault(max(numbers), []).append(layer)
    if not stages:
        raise ValueError(f"model must be a network of keras_resnet or contain one. Received: {model!r}")
    return {"stem" if number == 1 else f"conv{number}": layers for number, layers in sorted(stages.items())}
