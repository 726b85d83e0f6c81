"""Training, evaluation and prediction: data sets, augmentation, recipes, one training loop."""

from keras_resnet.training.recipes import RECIPES, Recipe
from keras_resnet.training.run import Run

__all__ = ["RECIPES", "Recipe", "Run"]
