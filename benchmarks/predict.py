"""Compares the speed of predictions: our network, the same network of stock Keras layers, keras.applications,
keras-hub, PyTorch (the network of torchvision if it exists) and timm.

    python -m benchmarks.predict                            # ResNet-50 at batch 1 and 16
    python -m benchmarks.predict --nets resnet20 --rounds 1

The method is that of benchmarks/train.py.
"""

import sys

from benchmarks.sides import main

JOBS = [("resnet50", 1), ("resnet50", 16), ("resnet20", 128)]

if __name__ == "__main__":
    sys.exit(main("predict", JOBS, __doc__))
