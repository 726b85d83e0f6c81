"""An answer, side by side: ours, its twin of stock Keras layers, keras.applications, keras-hub,
PyTorch (torchvision's net where it has it), timm.

    python -m benchmarks.predict                            # ResNet-50 at batch 1 and 16
    python -m benchmarks.predict --nets resnet20 --rounds 1

As benchmarks/train.py.
"""

import sys

from benchmarks.sides import main

JOBS = [("resnet50", 1), ("resnet50", 16), ("resnet20", 128)]

if __name__ == "__main__":
    sys.exit(main("predict", JOBS, __doc__))
