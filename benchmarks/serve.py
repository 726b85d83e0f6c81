"""Compares exported networks: Keras' own export, our SavedModels, ONNX, LiteRT and OpenVINO, also with int8 weights.

    python -m benchmarks.serve                                       # ResNet-50 and ResNeXt-50 at batch 1 and 8
    python -m benchmarks.serve --nets resnet50 --rounds 1 --peers "LiteRT, int8"

Every artifact is exported once into `--directory`. Then its predictions are measured for `--seconds` per batch size, in
a separate process. The artifacts take turns, and this is repeated `--rounds` times. Results in the directory are not
computed again: the same command resumes after an interruption, and a larger `--rounds` adds the missing rounds.
keras.applications has no ResNeXt-50. Its baseline is the same network of stock Keras layers. Results:
benchmarks/NOTES.md.
"""

import argparse
import shutil
import statistics
import sys
from pathlib import Path

from benchmarks.artifacts import ARTIFACTS, BASELINE, BATCHES, place
from benchmarks.sides import measure
from keras_resnet.files import read_json, write_json, write_text
from keras_resnet.training.environment import machine, versions

NETS = ["resnet50", "resnext50_32x4d"]
MODULE = "benchmarks.artifacts"


def export_all(net: str, artifacts: list[str], directory: Path, rows: dict) -> None:
    for artifact in artifacts:
        if "bytes" in rows.get(artifact, {}):
            continue
        path = place(net, artifact, directory)
        shutil.rmtree(path, ignore_errors=True)  # left by an interrupted export
        for file in path.parent.glob(f"{path.stem}.*"):
            file.unlink()
        rows[artifact] = {"rounds": [], **measure("export", net, artifact, directory, module=MODULE)}
        write_json(directory / f"{net}.json", rows)
        shown = rows[artifact].get("missing") or f"{rows[artifact]['seconds']:.1f} s"
        print(f"{net}: {artifact}, export: {shown}", flush=True)


def time_all(net: str, artifacts: list[str], directory: Path, rows: dict, rounds: int, seconds: float) -> None:
    for number in range(rounds):
        for artifact in artifacts:
            row = rows[artifact]
            if "bytes" not in row or len(row["rounds"]) > number:
                continue
            row.pop("missing", None)
            result = measure("time", net, artifact, directory, seconds, module=MODULE)
            if "missing" in result:
                row["missing"] = result["missing"]
            else:
                row["rounds"].append(result["milliseconds"])
            write_json(directory / f"{net}.json", rows)
            shown = row.get("missing") or ", ".join(
                f"batch {batch} {statistics.median(calls):.1f} ms" for batch, calls in row["rounds"][-1].items()
            )
            print(f"{net}, round {number + 1}: {artifact}: {shown}", flush=True)


def table(net: str, rows: dict[str, dict]) -> str:
    """Returns a Markdown table. "times" is the speed relative to the baseline: of medians, of fastest predictions."""
    head = ["what", "MB", "of the weights", "export, s"]
    for batch in BATCHES:
        head += [f"batch {batch}: median, ms", "range", "times"]
    lines = [head, ["---", *["---:"] * (len(head) - 1)]]
    base = rows.get(BASELINE, {"rounds": []})
    for artifact, row in rows.items():
        if not row["rounds"]:
            lines.append([artifact, row.get("missing", ""), *[""] * (len(head) - 2)])
            continue
        cells = [artifact, f"{row['bytes'] / 1e6:.1f}", f"{row['bytes'] / row['weights']:.2f}", f"{row['seconds']:.1f}"]
        for batch in BATCHES:
            calls, other = ([ms for done in r["rounds"] for ms in done[str(batch)]] for r in (row, base))
            if not calls:
                cells += ["", "", ""]
                continue
            cells += [f"{statistics.median(calls):.1f}", f"{min(calls):.1f} to {max(calls):.1f}"]
            ratios = [statistics.median(other) / statistics.median(calls), min(other) / min(calls)] if other else []
            cells.append(", ".join(f"{ratio:.2f}" for ratio in ratios))
        lines.append(cells)
    return f"### {net}\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.serve", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--nets", nargs="+", choices=NETS, default=NETS)
    parser.add_argument("--peers", nargs="+", choices=ARTIFACTS, default=list(ARTIFACTS), metavar="PEER")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=3)
    parser.add_argument("--directory", type=Path, default=Path("runs/serve"))
    options = parser.parse_args(arguments)

    options.directory.mkdir(parents=True, exist_ok=True)
    parts = [f"{machine()}; {versions()}"]
    for net in options.nets:
        rows = read_json(options.directory / f"{net}.json") or {}
        export_all(net, options.peers, options.directory, rows)
        time_all(net, options.peers, options.directory, rows, options.rounds, options.seconds)
        parts.append(table(net, {name: rows[name] for name in ARTIFACTS if name in rows}))
    text = "\n\n".join(parts)
    print(f"\n{text}")
    write_text(options.directory / "serve.md", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
