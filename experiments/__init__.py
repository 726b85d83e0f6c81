"""What is measured with keras_resnet, and how."""
