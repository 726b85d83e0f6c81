"""Training, evaluation and prediction: data sets, augmentation, recipes, one training loop."""
