"""Speed, measured side by side. Every figure stands with its machine, its versions and its command."""

import experiments  # noqa: F401  keeps the import of TensorFlow quiet
