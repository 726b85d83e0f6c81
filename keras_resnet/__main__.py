"""Residual networks from the shell.

python -m keras_resnet list                 # every row; or those of a pattern, such as "se*"
python -m keras_resnet summary resnet56 --fields shortcut=projection_all order=preactivation
python -m keras_resnet draw resnet50 -o resnet50.svg
python -m keras_resnet export resnet50 models/resnet50 --weights imagenet --labels imagenet
python -m keras_resnet explain resnet50 image.jpg --weights imagenet --output cam.png

python -m keras_resnet finetune folder:flowers resnet50 --weights imagenet --directory runs/flowers
python -m keras_resnet evaluate runs/flowers folder:flowers --split validation --crops 10
python -m keras_resnet predict runs/flowers a.jpg b.png --explain
python -m keras_resnet export runs/flowers models/flowers
python -m keras_resnet demo runs/flowers
python -m keras_resnet train imagenet2012 resnet34 --recipe imagenet_paper --fields shortcut=B --devices 8
"""

import argparse
import csv
import os
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

from keras_resnet import commands
from keras_resnet.errors import RandomClassifierWarning

# written by `PYTHONPATH=tests python tests/test_variants.py`
COUNTS = Path(__file__).parent / "data" / "variants.csv"


def add_list(commands) -> None:
    parser = commands.add_parser("list", help="parameters and multiply-adds of each row")
    parser.add_argument("pattern", nargs="?", default="*", help='such as "se*"; default: all')


def counts() -> dict[str, tuple[int, int]]:
    """Trainable parameters and multiply-adds of each row, without building it."""
    with COUNTS.open(newline="") as file:
        return {row["name"]: (int(row["parameters"]), int(row["multiply_adds"])) for row in csv.DictReader(file)}


def run_list(options) -> None:
    import keras_resnet
    from keras_resnet.variants import published_shape
    from keras_resnet.weights import default_checkpoints, own_checkpoints

    names, counted = keras_resnet.list_variants(options.pattern), counts()
    checkpoints = default_checkpoints() | dict.fromkeys(own_checkpoints(), 'weights="cifar10"')
    print(f"{'name':<22} {'parameters':>12} {'multiply-adds':>15}  {'input':<12}  checkpoint")
    for name in names:
        (parameters, macs), size = counted[name], "x".join(map(str, published_shape(keras_resnet.VARIANTS[name])))
        line = f"{name:<22} {parameters:>12,} {macs:>15,}  {size:<12}  {checkpoints.get(name, '')}"
        print(line.rstrip())


def add_summary(commands) -> None:
    parser = commands.add_parser("summary", help="the layers of a net")
    parser.add_argument("name")
    add_fields(parser)


def run_summary(options) -> None:
    import keras_resnet

    columns = max(80, shutil.get_terminal_size().columns)
    model = keras_resnet.ResNet(options.name, **fields_of(options))
    model.summary(line_length=columns, positions=[0.37, 0.58, 0.76, 1.0])


def add_draw(commands) -> None:
    parser = commands.add_parser("draw", help="an SVG of a net and of its building blocks, as in the papers")
    parser.add_argument("name", help="a row, a .keras file, or the directory of a run")
    parser.add_argument("-o", "--output", type=Path, help="an .svg file; default: NAME.svg")
    parser.add_argument("--block", action="store_true", help="only the building blocks")
    parser.add_argument("--unfolded", action="store_true", help="every block, also if equal blocks follow each other")
    add_fields(parser)
    parser.set_defaults(weights=None, classes=None, preprocessing=None)


def run_draw(options) -> None:
    import keras_resnet
    from keras_resnet.initialization import without_drawing

    output = options.output or Path(f"{Path(options.name).name.removesuffix('.keras')}.svg")
    with without_drawing():  # of random weights
        model, _ = read_net(options)
    keras_resnet.draw(model, output, block=options.block, unfolded=options.unfolded)
    print(output)


def add_export(commands) -> None:
    parser = commands.add_parser("export", help="a SavedModel for TF Serving, or a file for another runtime")
    parser.add_argument("name", help="a row, a .keras file, or the directory of a run")
    parser.add_argument("directory", type=Path, help="where its versions are; for other formats, the file")
    parser.add_argument("--format", help="saved_model, onnx, litert or openvino; default: that of the suffix")
    net = parser.add_argument_group("the net, if a row")
    net.add_argument("--weights", help='what `weights=` takes: "imagenet", a file, a name on the hub')
    net.add_argument("--classes", type=int, help="default: those of the row")
    add_fields(net)
    common = parser.add_argument_group("all formats")
    common.add_argument("--labels", help='"imagenet", "cifar10" or a file with one a line; default: 0, 1, ...')
    common.add_argument("--preprocessing", help="a name of PREPROCESSINGS; default: that of the weights, if known")
    common.add_argument("--overwrite", action="store_true", help="what is there")
    others = parser.add_argument_group("the other formats")
    others.add_argument("--precision", help="float32 (default) or, of litert and openvino, float16")
    others.add_argument("--int8", help="a folder of images to calibrate 8 bits with (litert, openvino)")
    served = parser.add_argument_group("the format saved_model")
    served.add_argument("--version", type=int, help="default: the next")
    served.add_argument(
        "--signatures", nargs="+", help="default: images image_bytes classify; also embedding, cam, cam_bytes"
    )
    served.add_argument("--top-k", type=int, help="default: 5")
    served.add_argument("--optimize", choices=["none", "freeze", "bfloat16"], help="default: freeze")
    served.add_argument(
        "--warmup",
        type=int,
        nargs="*",
        help="batch sizes; without one: no warm-up; default: 1, if [serving] is installed",
    )
    served.add_argument("--server-config", action="store_true", help="add it to models.config beside it")


def name_file_of_run(options) -> None:
    """Replaces the directory of a run by its `.keras` file."""
    if Path(options.name, "model.keras").is_file():
        options.name = str(Path(options.name, "model.keras"))


def read_net(options):
    """Returns the network of a row or of a .keras file, and the preprocessing that is named or known of the weights."""
    import keras

    import keras_resnet
    from keras_resnet.variants import find_row, published_shape

    source, preprocessing = options.weights, options.preprocessing
    if options.name.endswith(".keras"):
        if source or options.classes or options.fields:
            raise ValueError(f"--weights, --classes and --fields are for rows. Received: {options.name!r}, a file")
        model = keras.models.load_model(options.name, compile=False)
    else:
        if preprocessing is None and source:
            preprocessing = preprocessing_of(source, options.name)
        known = keras_resnet.PREPROCESSINGS.get(preprocessing, preprocessing)
        size = getattr(known, "size", None)
        row = keras_resnet.VARIANTS[find_row(options.name, "name")]
        shape = (*published_shape(row)[:-3], size, size, 3) if size else None
        with warnings.catch_warnings():
            if source:  # nobody wants to serve a classifier at random beside loaded weights
                warnings.simplefilter("error", RandomClassifierWarning)
            model = keras_resnet.ResNet(
                options.name,
                weights=source,
                classes=options.classes,
                input_shape=shape,
                include_preprocessing=preprocessing or False,  # so that images, too, are pixels of 0..255
                **fields_of(options),
            )
    return model, preprocessing


def run_export(options) -> None:
    import keras_resnet

    name_file_of_run(options)
    model, preprocessing = read_net(options)
    is_file = options.name.endswith(".keras")
    chosen = {
        "labels": read_labels(options.labels),
        "preprocessing": preprocessing,
        "metadata": {"weights": options.weights or (options.name if is_file else "random")},
        "precision": options.precision,
        "int8": options.int8,
        "version": options.version,
        "overwrite": options.overwrite or None,
        "signatures": options.signatures,
        "top_k": options.top_k,
        "optimize": options.optimize,
        "warmup": options.warmup,
        "server_config": options.server_config or None,
    }
    chosen = {argument: value for argument, value in chosen.items() if value is not None}
    if options.optimize == "none":
        chosen["optimize"] = None
    if options.warmup == []:
        chosen["warmup"] = False
    keras_resnet.export(model, options.directory, format=options.format, **chosen)


def add_explain(commands) -> None:
    parser = commands.add_parser("explain", help="a picture of where a net sees a class: a class activation map")
    parser.add_argument("name", help="a row, a .keras file, or the directory of a run")
    parser.add_argument("image", type=Path, help="the file of an image in a format that Pillow reads")
    parser.add_argument("-o", "--output", type=Path, default=Path("cam.png"), help="default: cam.png")
    parser.add_argument("--class", type=int, dest="explained", help="number of a class; default: the most probable")
    parser.add_argument("--preprocessing", help="a name of PREPROCESSINGS; default: that of the weights, if known")
    net = parser.add_argument_group("the net, if a row")
    net.add_argument("--weights", help='what `weights=` takes: "imagenet", a file, a name on the hub')
    net.add_argument("--classes", type=int, help="default: those of the row")
    add_fields(net)


def run_explain(options) -> None:
    import numpy as np
    from PIL import Image

    import keras_resnet
    from keras_resnet.network import require_network
    from keras_resnet.preprocessing import find_preprocessing, imagenet_classes, resize_image

    name_file_of_run(options)
    if not options.weights and not options.name.endswith(".keras"):
        raise ValueError(f"--weights must be given for a row. Received: {options.name!r}")
    model, preprocessing = read_net(options)
    network = require_network(model)
    if network.variant.rank != 2:
        raise ValueError(f"name must be a network of images, not of clips. Received: {options.name!r}")
    preprocessing = preprocessing or network.preprocessing
    if preprocessing is None:
        raise ValueError(
            f"--preprocessing must be one of {list(keras_resnet.PREPROCESSINGS)}: it is not known of the weights"
        )
    row = find_preprocessing(preprocessing, "--preprocessing")
    size = model.input_shape[1] or row.size
    row = row.at_size(size)
    image = Image.open(options.image)
    large = size * max(1, min(image.size) // row.resize)  # the picture has about the resolution of the file
    picture = resize_image(image, (large, large), row.at_size(large))
    images = resize_image(image, (size, size), row)[np.newaxis].astype("float32")
    if not network.includes_preprocessing:
        images = keras_resnet.preprocess_input(images, "channels_last", mode=row)
    scores = model.predict(images, verbose=0)[0]
    explained = int(scores.argmax()) if options.explained is None else options.explained
    (heatmap,) = keras_resnet.explain(model, images, explained)
    Image.fromarray(keras_resnet.overlay(picture, heatmap)).save(options.output)
    name = f" ({imagenet_classes()[explained][1]})" if len(scores) == 1000 else ""
    print(f"class {explained}{name}, score {scores[explained]:.4f}: {options.output}")


def add_fields(parser) -> None:
    help_text = "others than those of the row, such as bottleneck_stride=1x1 depths=[2,2,2,2]"
    parser.add_argument("--fields", nargs="+", default=(), metavar="FIELD=VALUE", help=help_text)


def fields_of(options) -> dict:
    """The values as JSON, or else as a word; ValueError for what no row of that name has."""
    import keras_resnet
    from keras_resnet.variants import field_names, find_row

    allowed = field_names(keras_resnet.VARIANTS[find_row(options.name, "name")])
    allowed.remove("classes")  # which is an argument of ResNet
    return commands.pairs(options.fields, "--fields", allowed)


def preprocessing_of(source: str, row: str):
    """What is known of weights, which of a file is nothing; ValueError for weights of which it should be said."""
    from keras_resnet.weights import KEYWORDS, model_preprocessing

    if source in KEYWORDS:
        return model_preprocessing(source, row)
    if Path(source).expanduser().is_file():
        return None
    try:
        return model_preprocessing(source)
    except ValueError as error:
        raise ValueError(f"--preprocessing must be given where that of --weights is not known: {error}") from error


def read_labels(labels: str | None):
    return Path(labels).read_text().splitlines() if labels and Path(labels).is_file() else labels


COMMANDS: dict[str, tuple[Callable, Callable]] = {
    "list": (add_list, run_list),
    "summary": (add_summary, run_summary),
    "draw": (add_draw, run_draw),
    "export": (add_export, run_export),
    "explain": (add_explain, run_explain),
} | commands.COMMANDS


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m keras_resnet", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    subparsers = parser.add_subparsers(dest="command", required=True)
    for add, _ in COMMANDS.values():
        add(subparsers)
    options = parser.parse_args(arguments)
    _, run = COMMANDS[options.command]
    try:
        run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # `list | head`: nobody reads the rest, nor what Python would write when it exits
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except (ValueError, ImportError, OSError, RuntimeError, RandomClassifierWarning) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
