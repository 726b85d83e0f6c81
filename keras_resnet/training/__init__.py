"""Training, evaluation and prediction: data sets, augmentation, recipes and the training loop."""

from keras_resnet.training.augmentation import AUGMENTATIONS
from keras_resnet.training.datasets import ImageData, load_data
from keras_resnet.training.evaluation import Evaluation, evaluate, predict
from keras_resnet.training.fine_tune import Finetuned, finetune
from keras_resnet.training.preparation import DataUnavailable
from keras_resnet.training.recipes import RECIPES, Recipe
from keras_resnet.training.run import Run

__all__ = [
    "AUGMENTATIONS",
    "RECIPES",
    "DataUnavailable",
    "Evaluation",
    "Finetuned",
    "ImageData",
    "Recipe",
    "Run",
    "evaluate",
    "finetune",
    "load_data",
    "predict",
]
