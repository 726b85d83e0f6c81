"""A training step, side by side: ours, its twin of stock Keras layers, keras.applications, keras-hub,
PyTorch (torchvision's net where it has it), timm.

    python -m benchmarks.train                              # ResNet-20, ResNet-50, ResNeXt-50; half an hour on 2 cores
    python -m benchmarks.train --nets resnet20 --rounds 1

Every peer runs in a process of its own, in turn, `--rounds` times, three measurements each. Peers are the extra
[peers]; one that is missing is a row that says so. Results: benchmarks/NOTES.md.
"""

import sys

from benchmarks.sides import main

JOBS = [("resnet20", 128), ("resnet50", 16), ("resnext50_32x4d", 8)]

if __name__ == "__main__":
    sys.exit(main("train", JOBS, __doc__))
