"""The family from the shell.

python -m keras_resnet list                 # every row; or those of a pattern, such as "se*"
python -m keras_resnet summary resnet50d
"""

import argparse
import os
import sys
from math import prod

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m keras_resnet", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(dest="command", required=True)
    listing = commands.add_parser("list", help="parameters and multiply-adds of each row")
    listing.add_argument("pattern", nargs="?", default="*", help='such as "se*"; default: all')
    commands.add_parser("summary", help="the layers of a net").add_argument("name")
    options = parser.parse_args(arguments)

    import keras_resnet
    from keras_resnet.weights import default_checkpoints, own_checkpoints

    try:
        if options.command == "summary":
            keras_resnet.ResNet(options.name).summary(line_length=120)
            return 0
        names = keras_resnet.list_variants(options.pattern)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    checkpoints = default_checkpoints() | dict.fromkeys(own_checkpoints(), 'weights="cifar10"')
    print(f"{'name':<22} {'parameters':>12} {'multiply-adds':>15}  {'input':<11}  checkpoint")
    for name in names:
        model = keras_resnet.ResNet(name)
        parameters = sum(prod(variable.shape) for variable in model.trainable_variables)
        size = "x".join(map(str, model.input_shape[1:]))
        told = f"{parameters:>12,} {keras_resnet.count_macs(model):>15,}  {size:<11}  {checkpoints.get(name, '')}"
        print(f"{name:<22} {told}".rstrip(), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
