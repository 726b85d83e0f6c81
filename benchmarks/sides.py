"""Runs the measurements of all peers, each in a separate process, and writes the table of the results."""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

from benchmarks.peers import NETS, PEERS, PRECISIONS
from keras_resnet import ResNet, count_macs
from keras_resnet.files import write_text
from keras_resnet.training.environment import machine, versions

OPERATIONS = {"train": 6, "predict": 2}  # per multiply-add: 2 in the forward pass and 4 in the backward pass
Job = tuple[str, int]  # a name of NETS and a batch size


def measure(*arguments, module: str = "benchmarks.peers", limit: float | None = None) -> dict:
    """Returns the JSON that `module` prints for these arguments.

    If the process fails or takes more than `limit` seconds, `missing` says so.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=limit)
    except subprocess.TimeoutExpired:
        return {"missing": f"more than {limit:.0f} s"}
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"ended with {done.returncode}"]
        return {"missing": lines[-1][:100]}
    return json.loads(done.stdout.splitlines()[-1])


def collect(kind: str, job: Job, peers: list[str], rounds: int, steps: int) -> list[dict]:
    """Returns one row per peer and precision, with all its rates in images/s."""
    net, batch = job
    rows: list[dict] = [
        {"peer": peer, "precision": precision, "rates": []} for peer in peers for precision in PRECISIONS
    ]
    for number in range(rounds):
        for row in rows:
            if "missing" in row:
                continue
            result = measure(kind, net, row["peer"], row["precision"], batch, steps)
            row["rates"] += result.get("images_per_second", [])
            row |= {"missing": result["missing"]} if "missing" in result else {}
            shown = f"{max(row['rates']):.1f} images/s" if row["rates"] else row["missing"]
            print(f"{net}, {batch}, round {number + 1}: {row['peer']}, {row['precision']}: {shown}", flush=True)
    return rows


def table(kind: str, job: Job, rows: list[dict], peaks: dict[str, float]) -> str:
    """Returns a Markdown table. The last column is our highest rate divided by the highest rate of the peer.

    Each rate is the highest over all precisions. Our peers have the names "ours" and "ours, ...".
    """
    net, batch = job
    macs = count_macs(ResNet(NETS[net].row, input_shape=NETS[net].shape))
    best = {
        row["peer"]: max(rate for r in rows if r["peer"] == row["peer"] for rate in [0.0, *r["rates"]]) for row in rows
    }
    our_best = max((rate for peer, rate in best.items() if is_ours(peer)), default=0.0)
    head = [
        "peer",
        "precision",
        "images/s, fastest",
        "median",
        "range",
        "fraction of matmul peak",
        "speed of ours / peer (fastest)",
    ]
    lines = [head, ["---", "---", "---:", "---:", "---", "---:", "---:"]]
    for row in rows:
        if not row["rates"]:
            lines.append([row["peer"], row["precision"], row["missing"], "", "", "", ""])
            continue
        low, middle, high = min(row["rates"]), statistics.median(row["rates"]), max(row["rates"])
        share = OPERATIONS[kind] * macs * high / peaks[row["precision"]] / 1e9
        compare = not is_ours(row["peer"]) and high == best[row["peer"]] and our_best
        figures = [f"{high:.1f}", f"{middle:.1f}", f"{low:.1f} to {high:.1f}", f"{share:.0%}"]
        lines.append([row["peer"], row["precision"], *figures, f"{our_best / high:.2f}" if compare else ""])
    title = f"### {net}, batch {batch}, {kind}"
    return title + "\n\n" + "\n".join(f"| {' | '.join(cells)} |" for cells in lines) + "\n"


def is_ours(peer: str) -> bool:
    return peer.split(",")[0] == "ours"


def main(kind: str, jobs: list[Job], description: str | None, arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{kind}", description=description)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    nets = list(dict.fromkeys(net for net, _ in jobs))
    parser.add_argument("--nets", nargs="+", choices=nets, default=nets)
    parser.add_argument("--peers", nargs="+", choices=PEERS, default=list(PEERS))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--output", type=Path, help="write NAME.md and NAME.json too", metavar="NAME")
    options = parser.parse_args(arguments)

    peaks = {precision: measure("peak", precision)["gflops"] for precision in PRECISIONS}
    about = f"{machine()}; {versions()}; matmul peak " + ", ".join(f"{p} {g:.0f} GFLOP/s" for p, g in peaks.items())
    parts, results = [about], []
    for job in jobs:
        if job[0] in options.nets:
            rows = collect(kind, job, options.peers, options.rounds, options.steps)
            parts.append(table(kind, job, rows, peaks))
            results.append({"net": job[0], "batch": job[1], "rows": rows})
    text = "\n\n".join(parts)
    print(f"\n{text}")
    if options.output:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        write_text(f"{options.output}.md", text)
        write_text(f"{options.output}.json", json.dumps({"about": about, "peaks": peaks, "results": results}, indent=1))
    return 0
