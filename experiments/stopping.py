r"""What would the median stopping rule have saved, and at what price? A finished sweep is asked again, in many orders.

    python -m experiments.sweep --dataset digits --train-examples 400 --tuner random --depths 8 \
        --shortcuts zero_pad none --learning-rates 1.0 0.3 0.1 0.03 0.01 0.003 0.001 0.0003 --epochs 10 --patience 4 \
        --name full
    python -m experiments.stopping runs/full                                  # seconds

Only the order of the trials is drawn, and only trials that were trained to their end are asked: their curves are cut
where the rule would have cut them. One sweep of 16 trials, 160 epochs, in 1000 orders (keras_resnet 0.1.0, 2 cores):

| warm-up | epochs saved % (standard deviation) | best trial kept, of 1000 |
| --- | --- | --- |
| 0 | 43.9 (7.9) | 966 |
| 1 | 36.4 (7.4) | 992 |
| 2 | 26.1 (5.5) | 1000 |
| 3 | 20.2 (4.3) | 1000 |
| 5 | 7.8 (2.4) | 1000 |
"""

import argparse
import random
import sys
from pathlib import Path
from statistics import fmean, pstdev
from types import SimpleNamespace

from experiments.flags import positive
from experiments.report import read_trials
from experiments.tuning import MedianStopping


def cut(curves: list[list[float]], warm_up: int) -> list[list[float]]:
    """The curves, an accuracy an epoch, as the rule leaves them where the trials run in that order."""
    done: list[list[float]] = []
    for curve in curves:
        rule = MedianStopping(lambda: done, warm_up)
        rule.set_params({"epochs": len(curve)})
        rule.set_model(SimpleNamespace(stop_training=False))
        epochs = 0
        while epochs < len(curve) and not rule.stopped:
            rule.on_epoch_end(epochs, {"val_accuracy": curve[epochs]})
            epochs += 1
        done.append(curve[:epochs])
    return done


def replay(curves: list[list[float]], warm_up: int, orders: int) -> tuple[list[float], int]:
    """The share of epochs saved in each of so many orders, and in how many the best trial came to its end."""
    saved, kept = [], 0
    best = max(curve[-1] for curve in curves)
    for seed in range(orders):
        order = random.Random(seed).sample(curves, len(curves))
        left = cut(order, warm_up)
        saved.append(1 - sum(map(len, left)) / sum(map(len, order)))
        kept += any(len(a) == len(b) and b[-1] == best for a, b in zip(left, order, strict=True))
    return saved, kept


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m experiments.stopping", description=__doc__, allow_abbrev=False)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("directory", type=Path, help="of a sweep without --median-stopping, such as runs/full")
    parser.add_argument("--orders", type=positive, default=1000)
    options = parser.parse_args(arguments)
    rows = [row for row in read_trials(options.directory) if row["status"] == "COMPLETED"]
    if len(rows) <= MedianStopping.LEAST:
        print(
            f"directory must hold more than {MedianStopping.LEAST} completed trials. Received: {len(rows)}",
            file=sys.stderr,
        )
        return 1
    curves = [row["history"]["val_accuracy"] for row in rows]
    print(
        f"| warm-up | epochs saved % (standard deviation) | best trial kept, of {options.orders} |\n| --- | --- | --- |"
    )
    for warm_up in (0, 1, 2, 3, 5):
        saved, kept = replay(curves, warm_up, options.orders)
        print(f"| {warm_up} | {100 * fmean(saved):.1f} ({100 * pstdev(saved):.1f}) | {kept} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
