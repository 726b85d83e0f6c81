"""The class of all networks: a Functional model that stores its variant and the preprocessing of its weights."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

import keras
import numpy as np

from keras_resnet.preprocessing import Preprocessing, find_preprocessing
from keras_resnet.variants import DenseVariant, Variant, differences

# Format of the description in saved files. Increase it if older versions would misread the new format.
FORMAT = 1
# Key of the description in configs, in .weights.h5 files and in the metadata of safetensors files.
KEY = "keras_resnet"
VARIANTS_BY_CLASS: dict[str, type] = {"Variant": Variant, "DenseVariant": DenseVariant}


class Description(NamedTuple):
    """The metadata of a network, which files contain in addition to the weights."""

    variant: Variant | DenseVariant
    preprocessing: Preprocessing | None = None  # of the images that the weights expect, if known
    includes_preprocessing: bool = False  # whether the model normalizes its input, which is then pixels from 0 to 255
    class_names: tuple[str, ...] | None = None  # one name for each output of the classifier, if known

    def to_config(self) -> dict[str, Any]:
        """Returns a dict that can be written as JSON."""
        variant = {"class": type(self.variant).__name__, **asdict(self.variant)}
        if not isinstance(variant.get("shortcut", ""), str):  # a Shortcut, whose functions cannot be written as JSON
            variant["shortcut"] = "custom"
        return {
            "format": FORMAT,
            "variant": variant,
            "preprocessing": self.preprocessing and asdict(self.preprocessing),
            "includes_preprocessing": self.includes_preprocessing,
            "class_names": self.class_names and list(self.class_names),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "Description":
        """Creates a `Description` from the dict that `to_config` returned, also after a conversion to JSON.

        Raises ValueError for any other dict.
        """
        try:
            if config["format"] > FORMAT:
                raise ValueError(
                    f"The file has format {config['format']} of keras_resnet; this version reads up to {FORMAT}. "
                    "Update the package: pip install --upgrade keras-resnet-family"
                )
            variant, preprocessing = dict(config["variant"]), config["preprocessing"]
            kind = VARIANTS_BY_CLASS[variant.pop("class")]
            return cls(
                kind(**_with_tuples(variant)),
                preprocessing and Preprocessing(**_with_tuples(preprocessing)),
                config["includes_preprocessing"] is True,
                tuple(map(str, config.get("class_names") or ())) or None,
            )
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError(f"The description of a network is damaged: {error!r}") from error


def _with_tuples(config: dict[str, Any]) -> dict[str, Any]:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in config.items()}


@keras.saving.register_keras_serializable("keras_resnet")
class Network(keras.Model):
    """A Functional model that stores the variant from which it was built.

    `ResNet()` and the builders return a `Network`. Its `variant` and `preprocessing` are saved in `.keras` files. They
    are also kept by `get_config`/`from_config`, by `to_json`, by pickling and by nesting. `.weights.h5` files contain
    them as well: `load_weights` raises a ValueError for the weights of another variant, even if all shapes match.

    `keras.models.clone_model` of Keras 3.15 loses both properties. `Network.from_config(model.get_config())` keeps
    them.

    Example:
        >>> model = keras_resnet.ResNet20(shortcut="B")
        >>> model.variant.shortcut
        'projection'
    """

    _description: Description | None = None  # without an __init__, Keras treats this class as Functional

    @property
    def description(self) -> Description:
        """All metadata of the network. Raises ValueError for a copy made by `keras.models.clone_model`."""
        if self._description is None:
            raise ValueError(
                f"{self.name!r} is a copy by keras.models.clone_model, which drops what a network knows of itself. "
                "Copy it with model.from_config(model.get_config())."
            )
        return self._description

    @property
    def variant(self) -> Variant | DenseVariant:
        """The `Variant` or `DenseVariant` from which this network was built."""
        return self.description.variant

    @property
    def includes_preprocessing(self) -> bool:
        """Whether the model normalizes its input. The input is then RGB pixels from 0 to 255."""
        return self.description.includes_preprocessing

    @property
    def preprocessing(self) -> Preprocessing | None:
        """The preprocessing of images that the weights expect. None if it is unknown.

        It can be set to a `Preprocessing`, to a name of `PREPROCESSINGS` or to None.
        """
        return self.description.preprocessing

    @preprocessing.setter
    def preprocessing(self, value: Preprocessing | str | None) -> None:
        old = self.description.preprocessing
        new = None if value is None else find_preprocessing(value, "preprocessing")
        if old is not None and self.includes_preprocessing and (new is None or not new.is_like(old)):
            raise ValueError(f"preprocessing must be like the one that the model includes, {old}. Received: {value!r}")
        self._description = self.description._replace(preprocessing=new)

    @property
    def class_names(self) -> tuple[str, ...] | None:
        """The names of the classes, one for each output. None if they are unknown.

        The class names are the default labels of `export` and `export_saved_model`. They can be set to a sequence of
        strings or to None. Only networks with a classifier can have class names.
        """
        return self.description.class_names

    @class_names.setter
    def class_names(self, value: Sequence[str] | None) -> None:
        names = None if value is None else tuple(value)
        top = self.layers[-1]
        count = top.units if isinstance(top, keras.layers.Dense) else 0
        if names is not None and (
            isinstance(value, str) or not all(isinstance(name, str) for name in names) or len(names) != count
        ):
            raise ValueError(f"class_names must be {count} strings, one per output. Received: {value!r}")
        self._description = self.description._replace(class_names=names)

    def get_config(self) -> dict[str, Any]:
        return super().get_config() | {KEY: self._description and self._description.to_config()}

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        description = config.pop(KEY, None)
        model = super().from_config(config, custom_objects=custom_objects)
        return describe(model, description and Description.from_config(description))

    def save_own_variables(self, store) -> None:
        super().save_own_variables(store)
        if self._description is not None:
            store[KEY] = np.frombuffer(json.dumps(self._description.to_config()).encode(), "uint8")

    def load_own_variables(self, store) -> None:
        """Checks the variant in a file. Keras calls this method in `load_weights` before it assigns any weight."""
        if KEY not in store.keys() or self._description is None:  # noqa: SIM118  the store is no dict
            return
        source = Description.from_config(json.loads(np.asarray(store[KEY]).tobytes()))
        if wrong := differences(self.variant, source.variant):
            raise ValueError(f"The file holds the weights of another network than {self.name!r}: {wrong}")
        if not self.includes_preprocessing:
            self.preprocessing = source.preprocessing


def describe(model, description: Description | None):
    """Sets the metadata of `model`. Returns `model`."""
    model._description = description
    return model


def networks(model: Any) -> Iterator[Network]:
    """Yields each `Network` in `model`. If `model` itself is a `Network`, yields only `model`."""
    if isinstance(model, Network) and model._description is not None:
        yield model
        return
    for layer in getattr(model, "layers", []):
        if isinstance(layer, keras.Model):
            yield from networks(layer)


def find_network(model: keras.Model) -> Network | None:
    """Returns the only `Network` in `model`, or `model` itself. Returns None unless there is exactly one network."""
    found = list(networks(model))
    return found[0] if len(found) == 1 else None


def require_network(model: keras.Model, argument: str = "model") -> Network:
    """Returns the network that `find_network` finds. Raises ValueError unless there is exactly one network."""
    network = find_network(model)
    if network is None:
        raise ValueError(
            f"{argument} must be a network of keras_resnet or a model that contains one. (keras.models.clone_model "
            "drops what a network knows of itself: copy it with model.from_config(model.get_config()).) "
            f"Received: {getattr(model, 'name', model)!r}"
        )
    return network


def input_tensors(nodes: Any) -> Iterator[dict[str, Any]]:
    """Yields the config of each Keras tensor in `nodes`, the calls of layers in the config of a model."""
    if isinstance(nodes, dict) and nodes.get("class_name") == "__keras_tensor__":
        yield nodes["config"]
    elif isinstance(nodes, dict | list | tuple):
        for part in nodes.values() if isinstance(nodes, dict) else nodes:
            yield from input_tensors(part)


def named_inputs(model: keras.Model):
    """Returns new inputs with the names of the input layers of `model`. `clone_model` would give them other names."""
    names = {id(layer.output): layer.name for layer in model.layers if isinstance(layer, keras.layers.InputLayer)}
    return keras.tree.map_structure(
        lambda x: keras.Input(batch_shape=x.shape, dtype=x.dtype, name=names[id(x)]), model.input
    )
