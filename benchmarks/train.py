"""Compares the speed of training steps: our network, the same network of stock Keras layers, keras.applications,
keras-hub, PyTorch (the network of torchvision if it exists) and timm.

    python -m benchmarks.train                              # ResNet-20, ResNet-50, ResNeXt-50; half an hour on 2 cores
    python -m benchmarks.train --nets resnet20 --rounds 1

Every peer runs in a separate process, which makes three measurements. The peers take turns, and this is repeated
`--rounds` times. The extra [peers] installs the peers. The row of a missing peer says that it is missing. Results:
benchmarks/NOTES.md.
"""

import sys

from benchmarks.sides import main

JOBS = [("resnet20", 128), ("resnet50", 16), ("resnext50_32x4d", 8)]

if __name__ == "__main__":
    sys.exit(main("train", JOBS, __doc__))
