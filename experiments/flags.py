"""Types of command-line flags for argparse."""

import argparse
import math


def positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be a positive integer. Received: {text}")
    return value


def not_negative(text: str) -> int:
    value = int(text)
    if value < 0:
        raise argparse.ArgumentTypeError(f"must be 0 or more. Received: {text}")
    return value


def positive_float(text: str) -> float:
    value = not_negative_float(text)
    if value == 0:
        raise argparse.ArgumentTypeError(f"must be more than 0. Received: {text}")
    return value


def not_negative_float(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"must be 0 or more. Received: {text}")
    return value
