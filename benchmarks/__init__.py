"""Speed comparisons with other libraries. Every result is published with its machine, versions and command."""

import experiments  # noqa: F401  suppresses the messages of TensorFlow's import
