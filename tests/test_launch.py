"""A sweep of several processes, killed wherever it hurts; and the files for clusters."""

import csv
import json
import os
import random
import shlex
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest
import yaml

from experiments import launch, sweep

ROOT = Path(__file__).parent.parent
TINY = ["--dataset", "digits", "--train-examples", "64", "--epochs", "1", "--batch-size", "32", "--depths", "8"]
TWENTY = ["--learning-rates", "0.1", "0.05", "0.02", "0.01", "0.005", "--weight-decays", "1e-4", "5e-4"]


def command(directory, *flags, workers=2):
    place = ["--directory", str(directory), "--name", "s"]
    return [sys.executable, "-m", "experiments.launch", "--workers", str(workers), *TINY, *place, *flags]


def rows(directory):
    return list(csv.DictReader((directory / "s" / "trials.csv").open()))


def processes(pid):
    """Name -> pid, of the processes of a launcher: "chief", "worker0", ..., "" for the one that ends the sweep."""
    found = {}
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        try:
            variables = Path(f"/proc/{child}/environ").read_bytes().split(b"\0")
        except OSError:
            continue
        names = [line.partition(b"=")[2].decode() for line in variables if line.startswith(b"KERASTUNER_TUNER_ID=")]
        found[names[0] if names else ""] = int(child)
    return found


@pytest.fixture(scope="module")
def killed(tmp_path_factory):
    """A sweep of two trials, of which a worker is killed in its trial, and the chief after that."""
    directory = tmp_path_factory.mktemp("runs")
    flags = ["--shortcuts", "none", "A"]
    launcher = subprocess.Popen(
        command(directory, *flags), cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    said = []
    for line in launcher.stdout:
        said.append(line)
        if "trial 2 of 2:" in line and not any("was killed" in told for told in said):
            os.kill(processes(launcher.pid)["worker0"], signal.SIGKILL)
        if "worker0 was killed" in line:
            os.kill(processes(launcher.pid)["chief"], signal.SIGKILL)
    assert launcher.wait() == 0, "".join(said)
    return directory, "".join(said)


def test_every_trial_ends_once_though_chief_and_worker_were_killed(killed):
    directory, said = killed
    assert "worker0 was killed by SIGKILL, and is started again" in said
    assert "chief was killed by SIGKILL, and is started again" in said
    assert [(row["trial"], row["status"]) for row in rows(directory)] == [(str(i), "COMPLETED") for i in range(2)]
    assert {row["shortcut"] for row in rows(directory)} == {"none", "zero_pad"}
    state = json.loads((directory / "s" / "oracle.json").read_text())
    assert Counter(state["end_order"]) == Counter("01")


def test_it_ends_as_a_sweep_alone_does(killed):
    directory, said = killed
    assert "on the test set" in said
    assert (directory / "s" / "best.keras").exists()
    assert (directory / "s" / "report.html").exists()
    assert len(list((directory / "s").glob("trial_*/model.keras"))) == 1
    assert not list((directory / "s").rglob(".unfinished-*-model.keras"))


def test_workers_say_who_they_are_and_the_chief_how_far_it_is(killed):
    _, said = killed
    assert "worker1:   epoch 1 of 1: loss" in said
    assert "chief: trial 1 of 2: none" in said
    assert "best so far" in said


# ---- without training

# a sweep that only notes who was there; worker0 is killed once, and the chief never ends by itself
PRETENDED = """
import os, pathlib, signal, socket, sys, time
who, told = os.environ.get("KERASTUNER_TUNER_ID", "alone"), pathlib.Path(sys.argv[1])
before = told.read_text() if told.exists() else ""
told.open("a").write(f"{who} {' '.join(sys.argv[2:])}\\n")
if who == "chief":
    if "refused" in sys.argv:
        sys.exit(2)
    if "through" in sys.argv:
        sys.exit(0)
    server = socket.create_server((os.environ["KERASTUNER_ORACLE_IP"], int(os.environ["KERASTUNER_ORACLE_PORT"])))
    time.sleep(600)
if who == "worker1" and "full" in sys.argv:
    sys.exit(74)
if who == "worker0" and "worker0" not in before or "hopeless" in sys.argv and who != "alone":
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def pretended(tmp_path, monkeypatch):
    """Runs the launcher's supervisor with two workers over PRETENDED; its code, and who was there."""
    told = tmp_path / "told"
    monkeypatch.setattr(launch, "command", lambda flags: [sys.executable, "-c", PRETENDED, str(told), *flags])

    def run(*flags):
        code = launch.supervise([{}, {}], [*flags], tmp_path, address="127.0.0.1", limit=2)
        return code, told.read_text().splitlines()

    return run


def test_who_is_killed_comes_back_under_its_name_and_the_chief_is_ended(pretended):
    code, told = pretended("--overwrite", "x")
    assert code == 0
    # overwritten once; the last word is that of a sweep alone
    assert told[0] == "chief --overwrite x"
    assert sorted(told[1:-1]) == ["worker0 x", "worker0 x", "worker1 x"]
    assert told[-1] == "alone x"


def test_what_the_chief_refuses_ends_it(pretended):
    assert pretended("refused") == (2, ["chief refused"])


def test_a_chief_for_whom_no_trial_is_left_needs_no_workers(pretended):
    assert pretended("through") == (0, ["chief through", "alone through"])


def test_a_full_disk_ends_it_and_nobody_is_started_again(pretended, capsys):
    with pytest.raises(SystemExit) as ended:
        pretended("full")
    assert ended.value.code == launch.NO_SPACE == 74
    assert "worker1 found the disk full: free some, and the same command goes on" in capsys.readouterr().out


def test_a_sweep_whose_workers_all_die_ends(pretended, capsys):
    code, told = pretended("hopeless")
    assert code == 1
    assert Counter(told) == {"chief hopeless": 1, "worker0 hopeless": 3, "worker1 hopeless": 3}
    assert "no worker is left; the same command goes on from here" in capsys.readouterr().out


class Mayfly:
    """Stands for a process that ends at once with the code."""

    def __init__(self, code):
        self.code = code

    def poll(self):
        return self.code


def test_restarts_in_a_row_are_bounded(tmp_path, monkeypatch, capsys):
    member = launch.Member("worker0", [], {}, tmp_path, limit=3)
    monkeypatch.setattr(member, "start", lambda: None)
    assert [member.restart(-9) for _ in range(4)] == [True, True, True, False]
    assert "given up after 3 restarts" in capsys.readouterr().out


def test_a_trial_that_ends_makes_the_count_begin_anew(tmp_path, monkeypatch):
    member = launch.Member("worker0", [], {}, tmp_path, limit=2)
    monkeypatch.setattr(member, "start", lambda: None)
    for i in range(5):
        (tmp_path / f"trial_{i}").mkdir()
        (tmp_path / f"trial_{i}" / "result.json").write_text("{}")
        assert member.restart(-9)
    assert member.restart(-9)
    assert not member.restart(-9)


def test_a_chief_that_is_given_up_ends_the_search(tmp_path, monkeypatch):
    chief = launch.Member("chief", [], {}, tmp_path, limit=0)
    chief.process = Mayfly(1)
    worker = launch.Member("worker0", [], {}, tmp_path, limit=0)
    worker.process = Mayfly(None)
    assert launch.watch(chief, [worker]) == 1


def test_one_gpu_a_worker_and_a_share_of_the_cores():
    shares = launch.shares(2, ["0", "3"], cores=16)
    assert [share["CUDA_VISIBLE_DEVICES"] for share in shares] == ["0", "3"]
    assert {share["TF_NUM_INTRAOP_THREADS"] for share in shares} == {"8"}
    assert "CUDA_VISIBLE_DEVICES" not in launch.shares(1, [], cores=2)[0]
    assert launch.shares(4, [], cores=2)[3]["OMP_NUM_THREADS"] == "1"
    with pytest.raises(ValueError, match="--workers must be at most 2, one a GPU. Received: 3"):
        launch.shares(3, ["0", "3"], cores=16)
    assert launch.environment("chief", "127.0.0.1", 1)["CUDA_VISIBLE_DEVICES"] == "-1"


@pytest.mark.parametrize(("value", "found"), [("1,3", ["1", "3"]), ("", []), ("-1", [])])
def test_gpus_are_those_that_are_visible(value, found):
    assert launch.gpus({"CUDA_VISIBLE_DEVICES": value}) == found


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--workers", "0"], "--workers must be a positive integer. Received: 0"),
        ([], "--workers must be a positive integer. Received: None"),
        (["--render", "slurm", "--overwrite"], "--overwrite would begin anew at each restart"),
        (["--render", "slurm", "--precision", "auto"], "--precision must be float32, bfloat16 or float16"),
        (["--render", "kubernetes", "--precision=auto"], "--precision must be float32, bfloat16 or float16"),
        (["--render", "slurm", "--depth", "20"], "unrecognized arguments: --depth 20"),
        (["--render", "kubernetes", "--depths", "21"], "--depths: "),
        (["--render", "kubernetes", "--directory", "runs"], "--directory must begin with /shared/"),
        (["--render", "kubernetes", "--directory", "/data/runs"], "--directory must begin with /shared/"),
        (["--render", "kubernetes", "--data-dir=data"], "--data-dir must begin with /shared/"),
    ],
)
def test_bad_flags(flags, says, capsys):
    with pytest.raises(SystemExit):
        launch.main(flags)
    assert says in capsys.readouterr().err


def test_auto_is_for_machines_without_gpus(monkeypatch, capsys):
    """The chief sees no GPU and notes the precision of the sweep; workers on GPUs would not agree."""
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(launch, "supervise", lambda workers, flags, *_, **__: flags)
    auto = ["--precision", "auto"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert launch.main(["--workers", "1", *auto]) == auto
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    assert launch.main(["--workers", "1", "--precision", "bfloat16"]) == ["--precision", "bfloat16"]
    with pytest.raises(SystemExit):
        launch.main(["--workers", "1", *auto])
    assert (
        "--precision must be float32, bfloat16 or float16 with --render and where there are GPUs"
        in capsys.readouterr().err
    )


# ---- clusters


@pytest.mark.parametrize("name", launch.FILES)
def test_the_files_for_clusters_are_what_is_rendered(name):
    """To write them anew: python -m experiments.launch --render NAME --dataset cifar10 --tuner random ..."""
    rendered = launch.render(name, launch.EXAMPLE_WORKERS, launch.EXAMPLE)
    assert (launch.FOLDER / launch.FILES[name]).read_text() == rendered


def test_bash_reads_the_file_for_slurm(tmp_path):
    script = tmp_path / "sweep.sbatch"
    script.write_text(launch.render("slurm", 2, ["--name", "it's", "--dataset", "digits"]))
    subprocess.run(["bash", "-n", script], check=True)


def told_by_slurm(folder, flags):
    """Who ran what: (name@chief, cores of srun, words), by a python and an srun that only tell what they were asked."""
    tools = {
        "python": """echo "$KERASTUNER_TUNER_ID@$KERASTUNER_ORACLE_IP" "'$cores'" $(printf '%q ' "$@") >> told
[ "$KERASTUNER_TUNER_ID" != chief ] || sleep 60"""
    }
    tools["hostname"] = "echo head"
    tools["srun"] = """shift; export cores=$SRUN_CPUS_PER_TASK; sleep 1
for SLURM_PROCID in 0 1; do export SLURM_PROCID; "$@"; done"""
    for name, body in tools.items():
        (folder / name).write_text(f"#!/bin/bash\n{body}\n")
        (folder / name).chmod(0o755)
    slurm = {"PATH": f"{folder}:{os.environ['PATH']}", "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "4"}
    script = launch.render("slurm", 2, flags)
    subprocess.run(["bash", "-c", script], cwd=folder, env=os.environ | slurm, check=True, timeout=60)
    told = [shlex.split(line) for line in (folder / "told").read_text().splitlines()]
    return [(who, cores, words) for who, cores, *words in told]


def test_the_file_for_slurm_runs_what_the_launcher_runs(tmp_path):
    told = told_by_slurm(tmp_path, ["--name", "it's", "--dataset", "digits"])
    sweep = ["-m", "experiments.sweep", "--name", "it's", "--dataset", "digits"]
    assert told[0] == ("@", "", ["-m", "experiments.data", "digits"])
    workers = [("worker0@head", "4", sweep), ("worker1@head", "4", sweep)]
    assert sorted(told[1:-1]) == [("chief@head", "", sweep), *workers]
    assert told[-1] == ("@", "", sweep)


def containers(flags, workers=3):
    jobset, _ = yaml.safe_load_all(launch.render("kubernetes", workers, flags))
    jobs = jobset["spec"]["replicatedJobs"]
    return {job["name"]: job["template"]["spec"]["template"]["spec"]["containers"][0] for job in jobs}


def test_kubernetes_knows_what_is_rendered():
    """By the schemas of its API, with nothing that they do not name; a JobSet is made of templates of Jobs."""
    kubernetes_validate = pytest.importorskip("kubernetes_validate")
    jobset, policy = yaml.safe_load_all((launch.FOLDER / launch.FILES["kubernetes"]).read_text())
    jobs = [{"apiVersion": "batch/v1", "kind": "Job", **job["template"]} for job in jobset["spec"]["replicatedJobs"]]
    for resource in (policy, *jobs):
        kubernetes_validate.validate(resource, "1.31", strict=True)
    words = launch.render("kubernetes", 1, ["--weight-decays", "1e-4", "5E-4", ".5", "--dataset", "digits"])
    for number in ("1e-4", "5E-4", ".5"):  # which PyYAML, of YAML 1.1, reads as words, and kubectl does not
        assert f"- '{number}'" in words and f"- {number}" not in words
    jobs[0]["spec"]["backofLimit"] = 1
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(jobs[0], "1.31", strict=True)


@pytest.mark.parametrize("joined", [False, True], ids=["--x y", "--x=y"])
@pytest.mark.parametrize("name", launch.FILES)
@pytest.mark.parametrize(
    "given", [{"dataset": "digits"}, {"dataset": "cifar100"}, {"directory": "/shared/mine", "data_dir": "/shared/data"}]
)
def test_rendered_commands_are_legal_and_keep_what_the_user_gave(name, given, joined, tmp_path):
    pairs = [(f"--{key.replace('_', '-')}", value) for key, value in given.items()]
    flags = [f"{key}={value}" for key, value in pairs] if joined else [word for pair in pairs for word in pair]
    if name == "slurm":
        first, *sweeps = [words for _, _, words in told_by_slurm(tmp_path, flags)]
    else:
        first, *sweeps = [row["command"][1:] for row in containers(flags).values()]
    data_dir = [f"--data-dir={given['data_dir']}"] if "data_dir" in given else []
    assert first == ["-m", "experiments.data", given.get("dataset", "cifar10"), *data_dir]
    default = {"dataset": "cifar10", "data_dir": None, "directory": "runs" if name == "slurm" else "/shared/runs"}
    for words in sweeps:
        assert words[:2] == ["-m", "experiments.sweep"]
        options = sweep.parse(words[2:])
        found = {key: getattr(options, key) for key in default}
        assert found | {"directory": str(options.directory)} == default | given


def test_the_jobset_runs_what_the_launcher_runs():
    """What is JobSet's own."""
    jobset, policy = yaml.safe_load_all(launch.render("kubernetes", 3, ["--dataset", "digits"]))
    assert (jobset["apiVersion"], jobset["kind"]) == ("jobset.x-k8s.io/v1alpha2", "JobSet")
    jobs = {job["name"]: job for job in jobset["spec"]["replicatedJobs"]}
    assert [*jobs] == ["data", "chief", "workers"]
    assert jobs["chief"]["dependsOn"] == [{"name": "data", "status": "Complete"}]
    assert jobs["workers"]["dependsOn"] == [{"name": "chief", "status": "Ready"}]
    counts = jobs["workers"]["template"]["spec"]
    assert (counts["completionMode"], counts["completions"], counts["parallelism"]) == ("Indexed", 3, 3)
    pods = containers(["--dataset", "digits"])
    shared = {"name": "TFDS_DATA_DIR", "value": "/shared/tensorflow_datasets"}  # unlike --data-dir legal for digits
    assert all(shared in pod["env"] for pod in pods.values())
    assert pods["data"]["command"] == ["python", "-m", "experiments.data", "digits"]
    words = ["python", "-m", "experiments.sweep", "--dataset", "digits", "--directory", "/shared/runs"]
    assert pods["chief"]["command"] == pods["workers"]["command"] == words
    for name, who in (("chief", "chief"), ("workers", "worker$(INDEX)")):
        variables = {row["name"]: row.get("value") for row in pods[name]["env"]}
        assert variables["KERASTUNER_TUNER_ID"] == who
        # a variable is made only of those that stand before it
        assert [*variables].index("INDEX" if name == "workers" else "ADDRESS") == 0
    assert policy["spec"]["ingress"][0]["ports"] == [{"port": launch.PORT}]


# ---- fifty kills


@pytest.mark.slow
@pytest.mark.timeout(3000)
def test_fifty_random_sigkills(tmp_path):
    """Over 20 tiny trials: each ends exactly once, none is lost. The launcher itself is killed now and then."""
    rng = random.Random(0)
    flags = ["--shortcuts", "none", "A", *TWENTY]
    victims: Counter[str] = Counter()
    log = (tmp_path / "log").open("w")
    launcher = None
    finished: set[str] = set()
    while victims.total() < 50 and len(finished) < 20:
        if launcher is None or launcher.poll() is not None:
            launcher = subprocess.Popen(command(tmp_path, *flags), cwd=ROOT, stdout=log, stderr=log)
        while launcher.poll() is None and "worker1" not in processes(launcher.pid):
            time.sleep(0.2)
        ahead = (len(finished) + 2) / 20 > victims.total() / 50  # a fast machine would be through before the fiftieth
        time.sleep(rng.uniform(0, 1 if ahead else 15))
        alive = processes(launcher.pid) if launcher.poll() is None else {}
        if launcher.poll() is None and rng.random() < 0.1:
            launcher.kill()
            launcher.wait()
            victims["launcher"] += 1
        elif alive:
            name = rng.choice(sorted(alive))
            os.kill(alive[name], signal.SIGKILL)
            victims[name.rstrip("0123456789")] += 1
        if (tmp_path / "s" / "trials.csv").exists():
            now = {row["trial"] for row in rows(tmp_path) if row["status"] == "COMPLETED"}
            assert finished <= now
            finished = now
    launcher.kill()
    launcher.wait()
    print(victims, f"{len(finished)} trials had ended")
    assert victims["worker"] >= 5 and victims["chief"] >= 5 and victims.total() == 50
    subprocess.run(command(tmp_path, *flags), cwd=ROOT, check=True, stdout=log, stderr=log)
    after = rows(tmp_path)
    assert [(row["trial"], row["status"]) for row in after] == [(f"{i:02d}", "COMPLETED") for i in range(20)]
    assert len({(row["shortcut"], row["learning_rate"], row["weight_decay"]) for row in after}) == 20
    state = json.loads((tmp_path / "s" / "oracle.json").read_text())
    assert sorted(state["end_order"]) == [f"{i:02d}" for i in range(20)]
    assert state["ongoing_trials"] == {}
