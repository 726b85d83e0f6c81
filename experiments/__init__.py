"""What is measured with keras_resnet, and how."""

from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

# By path: `from keras_resnet.quiet import quiet_tensorflow` would import keras_resnet, and with it TensorFlow, first.
_quiet = ModuleType("quiet")
SourceFileLoader("quiet", str(Path(__file__).parent.parent / "keras_resnet" / "quiet.py")).exec_module(_quiet)
_quiet.quiet_tensorflow()
