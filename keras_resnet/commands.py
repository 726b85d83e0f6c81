"""The shell commands for training, evaluation and prediction. They require the extra `training`."""

import json
from collections.abc import Iterable
from pathlib import Path

from keras_resnet.errors import choose


def add_run(parser) -> None:
    """Adds the arguments that the commands `train` and `finetune` share."""
    parser.add_argument("dataset", help="folder:PATH, cifar10, cifar100, digits, or a tfds data set")
    parser.add_argument("net", help="a row of `python -m keras_resnet list`")
    parser.add_argument("--weights", help='initial weights: "imagenet", a file, or a name on the hub')
    parser.add_argument(
        "--fields", nargs="+", default=(), metavar="FIELD=VALUE", help="fields that replace those of the row"
    )
    parser.add_argument(
        "--set", nargs="+", default=(), metavar="FIELD=VALUE", help="fields that replace those of the recipe"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--precision", default="auto", help="auto (default), float32, bfloat16 or float16")
    parser.add_argument("--epochs", type=int, help="number of epochs; default: that of the recipe")
    parser.add_argument("--image-size", type=int, help="height and width in pixels")
    parser.add_argument("--devices", type=int, default=1, help="devices that share each batch")
    parser.add_argument("--train-examples", type=int, help="number of training images; default: all")
    parser.add_argument(
        "--validation",
        type=int,
        help="number of training images in the validation set; 0: no validation set, the test set is evaluated",
    )
    parser.add_argument(
        "--data-dir", help="directory of tfds data sets; default: TFDS_DATA_DIR, else ~/tensorflow_datasets"
    )
    parser.add_argument("--strict", action="store_true", help="fail on unreadable files instead of skipping them")
    parser.add_argument("--directory", type=Path, help="where files are written; default: runs/NAME")


def training():
    """Imports keras_resnet.training. If packages are missing, the ImportError states what to install."""
    try:
        import keras_resnet.training
    except ImportError as error:
        raise ImportError(f"{error}. Run: pip install 'keras-resnet-family[training]'") from error
    return keras_resnet.training


def pairs(words, argument: str, allowed: Iterable[str] | None = None) -> dict:
    """Returns a dict from words FIELD=VALUE. Values are parsed as JSON; other values are strings.

    Raises ValueError for a name that is not in `allowed`.
    """
    found = {}
    for word in words:
        name, equals, value = word.partition("=")
        if allowed is not None:
            choose(dict.fromkeys(allowed), name, f"The name in {argument}")
        if not equals:
            raise ValueError(f"Each value of {argument} must be FIELD=VALUE. Received: {word!r}")
        try:
            found[name] = json.loads(value)
        except ValueError:
            found[name] = value
    return found


def settings_of(options) -> dict:
    """Returns the arguments of `Run` from the options, except for data set, network, recipe and weights."""
    return dict(
        fields=pairs(options.fields, "--fields"),
        changes=pairs(options.set, "--set"),
        seed=options.seed,
        precision=options.precision,
        epochs=options.epochs,
        image_size=options.image_size,
        devices=options.devices,
        train_examples=options.train_examples,
        validation=options.validation,
    )


def add_train(commands) -> None:
    parser = commands.add_parser("train", help="train a network with the recipe of a paper")
    add_run(parser)
    parser.add_argument("--recipe", default="fast", help="a name of keras_resnet.training.RECIPES; default: fast")
    parser.add_argument("--checkpoint", type=Path, help="also write the weights to this .safetensors file")
    parser.add_argument("--no-plan", action="store_true", help="do not measure the speed before the training begins")


def run_train(options) -> None:
    import keras

    import keras_resnet

    Run = training().Run
    from keras_resnet.training.progress import duration

    target = options.checkpoint
    if target is not None and (target.suffix != ".safetensors" or not target.parent.is_dir()):
        raise ValueError(f"--checkpoint must be a .safetensors file in a folder that exists. Received: {str(target)!r}")
    run = Run(options.net, options.dataset, options.recipe, weights=options.weights, **settings_of(options))
    directory = options.directory or Path("runs", run.name)
    run.check(directory)
    result = run(directory, data_dir=options.data_dir, strict=options.strict, plan=not options.no_plan)
    if "failure" in result:
        raise RuntimeError(f"{run.name} {result['failure']}: use a lower learning rate (--set learning_rate=0.01)")
    if target is not None:
        keras_resnet.save_pretrained(keras.models.load_model(directory / "model.keras"), target)
    split = "test" if "test_accuracy" in result else "validation"
    print(
        f"{run.name}: {result[f'{split}_accuracy']:.2%} on the {split} set after {result['epochs']} epochs in "
        f"{duration(result['seconds'])}"
    )
    print(f"  {directory / 'model.keras'}")


def add_finetune(commands) -> None:
    parser = commands.add_parser("finetune", help="fine-tune a network on a folder of images, and evaluate it")
    add_run(parser)
    parser.add_argument("--recipe", default="finetune", help="default: finetune; also: linear_probe")


def run_finetune(options) -> None:
    found = training().finetune(
        options.dataset,
        options.net,
        weights=options.weights,
        directory=options.directory,
        recipe=options.recipe,
        data_dir=options.data_dir,
        strict=options.strict,
        **settings_of(options),
    )
    print(found.evaluation.summary())
    for name in ("model.keras", "curves.png", "confusion.png", "mistakes.png"):
        if (found.directory / name).exists():
            print(f"  {found.directory / name}")
    print(f"To serve it: python -m keras_resnet export {found.directory} models/{found.directory.name}")


def add_prepare(commands) -> None:
    parser = commands.add_parser("prepare", help="download and prepare a tfds data set, and describe it")
    parser.add_argument("dataset", help="cifar10, cifar100, imagenet2012, ...")
    parser.add_argument("--data-dir", help="default: TFDS_DATA_DIR, else ~/tensorflow_datasets")


def run_prepare(options) -> None:
    data = training().load_data(options.dataset, data_dir=options.data_dir)
    parts = {name: getattr(data, name) for name in ("train", "validation", "test")}
    sizes = ", ".join(f"{part.size} {name}" for name, part in parts.items() if part is not None)
    print(f"{data.name}: {sizes} images, {len(data.class_names)} classes: {', '.join(data.class_names[:10])}", end="")
    print(", ..." if len(data.class_names) > 10 else "")


def add_model(parser) -> None:
    """Adds the arguments that the function `trained` needs."""
    parser.add_argument("model", help="the directory of a run, a .keras file, or a row with --weights")
    parser.add_argument("--weights", help='for a row: "imagenet", "cifar10", a file, or a name on the hub')


def add_evaluate(commands) -> None:
    parser = commands.add_parser("evaluate", help="measure the accuracy of a trained network on labelled images")
    add_model(parser)
    parser.add_argument("dataset", help="folder:PATH, cifar10, cifar100, digits, or a tfds data set")
    parser.add_argument(
        "--split", help="test, validation, train or all (all images of a folder without parts); default: test"
    )
    parser.add_argument("--crops", default="1", help="1 (default), 10 or multiscale")
    parser.add_argument("--image-size", type=int, help="height and width of the crops; default: that of the model")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument(
        "--data-dir", help="directory of tfds data sets; default: TFDS_DATA_DIR, else ~/tensorflow_datasets"
    )
    parser.add_argument("--output", type=Path, help="where files are written; default: the directory of the run")


def trained(name: str, weights: str | None):
    """Returns the network of a run, of a `.keras` file, or of a row with weights."""
    if weights is None:
        return training().evaluation.read_model(name)
    import keras_resnet

    return keras_resnet.ResNet(name, weights=weights, include_preprocessing=True)


def run_evaluate(options) -> None:
    found = training().evaluate(
        trained(options.model, options.weights),
        options.dataset,
        split=options.split,
        crops=options.crops,
        image_size=options.image_size,
        batch_size=options.batch_size,
        data_dir=options.data_dir,
    )
    print(found.summary())
    directory = options.output or (Path(options.model) if Path(options.model).is_dir() else None)
    if directory is not None:
        found.save(directory)
        print(f"  {directory / 'evaluation.json'}")


def add_predict(commands) -> None:
    parser = commands.add_parser("predict", help="print the most probable classes of images")
    add_model(parser)
    parser.add_argument("images", nargs="+", type=Path, help="image files")
    parser.add_argument("--top", type=int, default=5, help="classes per image; default: 5")
    parser.add_argument(
        "--explain", action="store_true", help="write IMAGE.cam.png, a class activation map of each image"
    )
    parser.add_argument(
        "--output", type=Path, default=Path(), help="directory of these images; default: the current one"
    )


def run_predict(options) -> None:
    from PIL import Image

    names = [path.name for path in options.images]
    if options.explain and len(set(names)) < len(names):
        raise ValueError(f"images must have different file names with --explain. Received: {names}")
    if options.explain:
        options.output.mkdir(parents=True, exist_ok=True)
    model = trained(options.model, options.weights)
    found = training().predict(model, list(options.images), top=options.top)
    for path, classes in zip(options.images, found, strict=True):
        print(f"{path}: " + ", ".join(f"{name} {100 * probability:.2f} %" for name, probability in classes))
        if options.explain:
            target = options.output / f"{path.name}.cam.png"
            Image.fromarray(training().evaluation.explained(model, path)).save(target)
            print(f"  {target}")


def add_demo(commands) -> None:
    parser = commands.add_parser(
        "demo", help="serve a local web page that shows the labels and the activation map of an image"
    )
    add_model(parser)
    parser.add_argument("--port", type=int, default=7860)


def run_demo(options) -> None:
    model = trained(options.model, options.weights)
    from keras_resnet.training.demo import page

    page(model).launch(server_name="127.0.0.1", server_port=options.port)


COMMANDS = {
    "prepare": (add_prepare, run_prepare),
    "train": (add_train, run_train),
    "finetune": (add_finetune, run_finetune),
    "evaluate": (add_evaluate, run_evaluate),
    "predict": (add_predict, run_predict),
    "demo": (add_demo, run_demo),
}
