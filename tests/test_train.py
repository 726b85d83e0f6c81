"""`python -m experiments.train`: recipes, precision, and that a run which was stopped goes on."""

import json

import keras
import numpy as np
import pytest

import keras_resnet
from experiments import train, training
from experiments.data import load
from experiments.train import RECIPES
from keras_resnet.files import only_one

FLAGS = ["--dataset", "digits", "--train-examples", "128", "--precision", "float32"]


def rates(recipe, steps, depth=20):
    schedule = RECIPES[recipe].schedule(steps, depth)
    return lambda step: float(keras.ops.convert_to_numpy(schedule(step)))


def test_the_recipe_of_the_paper():
    """He 2015, section 4.2: 0.1, divided by 10 at 32k and 48k iterations, over at 64k; weight decay 0.0001."""
    recipe, rate = RECIPES["paper"], rates("paper", 64_000)
    assert [rate(step) for step in (0, 31_999, 32_001, 47_999, 48_001)] == pytest.approx([0.1, 0.1, 0.01, 0.01, 0.001])
    assert recipe.epochs * -(-50_000 // recipe.batch_size) == pytest.approx(64_000, rel=0.01)
    assert (recipe.weight_decay, recipe.batch_size, recipe.nesterov) == (1e-4, 128, False)


def test_the_110_layer_net_warms_up():
    """He 2015, section 4.2: "we use 0.01 to warm up the training"."""
    rate = rates("paper", 64_000, depth=110)
    assert [rate(step) for step in (0, 399, 401, 32_001)] == pytest.approx([0.01, 0.01, 0.1, 0.01])


@pytest.mark.parametrize(("variant", "first"), [("resnet56", 0.1), ("resnet110", 0.01), ("resnet164v2", 0.01)])
def test_which_nets_warm_up(variant, first):
    """The depth that counts is that of the net's name."""
    data = load("digits", train_examples=128, validation_examples=0)
    model = train.build(variant, {}, RECIPES["paper"], data, 64_000, "float32")
    assert float(keras.ops.convert_to_numpy(model.optimizer.learning_rate)) == pytest.approx(first)


def test_the_shortcut_is_a_choice(tmp_path):
    """Option B has projections, and a directory of its own."""
    flags = [*FLAGS, "--shortcut", "B", "--epochs", "1", "--directory", str(tmp_path)]
    flags += ["--checkpoint", str(tmp_path / "net.safetensors")]
    assert train.main(flags) == 0
    model = keras.models.load_model(tmp_path / "resnet20-projection-fast-0" / "model.keras")
    assert "conv3_block1_0_conv" in [layer.name for layer in model.layers]
    copy = keras_resnet.ResNet20(shortcut="B", weights=tmp_path / "net.safetensors")
    for a, b in zip(copy.get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_the_cycle_goes_up_and_down_to_zero():
    rate = rates("fast", 1000)
    assert rate(0) == 0
    assert rate(75) == pytest.approx(0.1)
    assert rate(150) == pytest.approx(0.2)
    assert rate(1000) == pytest.approx(0, abs=1e-6)
    assert all(rate(step) >= rate(step + 50) for step in range(150, 1000, 50))


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("fpu avx512f avx512_bf16", "bfloat16"),
        ("fpu amx_bf16", "bfloat16"),
        ("fpu avx2 avx512f", "float32"),
        (None, "float32"),
    ],
)
def test_auto_is_bfloat16_where_it_pays(flags, expected, tmp_path):
    cpuinfo = tmp_path / "cpuinfo"
    if flags is not None:
        cpuinfo.write_text(f"model name\t: any\nflags\t\t: {flags}\n")
    assert training.precision_of("auto", cpuinfo) == expected
    assert training.precision_of("float16", cpuinfo) == "float16"


def test_a_run_that_was_stopped_ends_as_one_that_was_not(tmp_path, monkeypatch, capsys):
    """It is stopped in the middle of its second backup, and goes on from the first."""
    flags = [*FLAGS, "--epochs", "3"]
    assert train.main([*flags, "--directory", str(tmp_path / "whole")]) == 0
    save_weights = keras.Model.save_weights

    def stop(self, path):
        if "00002" in path.name:
            path.write_bytes(b"half")
            raise KeyboardInterrupt
        save_weights(self, path)

    with monkeypatch.context() as patch:
        patch.setattr(keras.Model, "save_weights", stop)
        assert train.main([*flags, "--directory", str(tmp_path / "parts")]) == 130
    assert not (tmp_path / "parts" / "resnet20-fast-0" / "result.json").exists()
    capsys.readouterr()
    assert train.main([*flags, "--directory", str(tmp_path / "parts")]) == 0
    out = capsys.readouterr().out
    assert "epoch 1 of 3" not in out
    assert "epoch 2 of 3" in out
    assert not (tmp_path / "parts" / "resnet20-fast-0" / "backup").exists()
    whole, parts = (
        keras.models.load_model(tmp_path / name / "resnet20-fast-0" / "model.keras") for name in ("whole", "parts")
    )
    for a, b in zip(whole.get_weights(), parts.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4)

    result = json.loads((tmp_path / "parts" / "resnet20-fast-0" / "result.json").read_text())
    assert (result["epochs"], result["precision"], result["examples"]) == (3, "float32", 128)
    monkeypatch.setattr(train, "train", lambda *args: pytest.fail("trained again"))
    assert train.main([*flags, "--directory", str(tmp_path / "parts")]) == 0
    assert f"{result['test_accuracy']:.2%} on the test set" in capsys.readouterr().out
    assert train.main([*FLAGS, "--epochs", "4", "--directory", str(tmp_path / "parts")]) == 1
    assert "holds a run with {'epochs': 3}. Received: {'epochs': 4}" in capsys.readouterr().err


def test_an_epoch_that_diverged_is_not_what_a_run_goes_on_from(tmp_path):
    """Keras' TerminateOnNaN ends an epoch, and the callbacks hear that it has ended."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    backup = train.Backup(tmp_path)
    backup.set_model(model)
    backup.on_epoch_end(0, {"loss": 1.0})
    backup.on_epoch_end(1, {"loss": float("nan")})
    model.set_weights([np.full((1, 1), np.inf), np.zeros(1)])
    backup.on_epoch_end(1, {"loss": 1.0})  # by its last step
    assert [path.name for path in tmp_path.iterdir()] == ["00001.weights.h5"]


@pytest.mark.parametrize(("pictures", "devices", "batch"), [(10_000, 1, 500), (10_000, 8, 400), (360, 2, 360)])
def test_devices_share_the_test_pictures_evenly(pictures, devices, batch):
    assert train.evaluation_batch(pictures, devices) == batch
    assert batch % devices == 0


def test_devices_that_cannot_share_the_test_pictures():
    with pytest.raises(ValueError, match="--devices must divide the 10000 test pictures. Received: 3"):
        train.evaluation_batch(10_000, 3)


def test_smoothed_labels():
    """The crossentropy of (1 - s) times the label and s / k everywhere, of k classes."""
    labels, probabilities = np.array([2, 0]), np.array([[0.2, 0.3, 0.5], [0.6, 0.3, 0.1]], "float32")
    for smoothing in (0.0, 0.1):
        targets = (1 - smoothing) * np.eye(3)[labels] + smoothing / 3
        expected = -(targets * np.log(probabilities)).sum(axis=1).mean()
        loss = train.SmoothedCrossentropy(label_smoothing=smoothing)
        assert float(loss(labels[:, None], probabilities)) == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
@pytest.mark.cifar10
def test_bfloat16_reaches_the_accuracy_of_float32(tmp_path):
    """Three seeds each: the means differ by less than three standard errors, or by less than two points."""
    flags = ["--epochs", "3", "--train-examples", "10000", "--directory"]
    accuracies = {}
    for precision in ("float32", "bfloat16"):
        results = []
        for seed in range(3):
            at = [*flags, str(tmp_path / precision), "--seed", str(seed), "--precision", precision]
            assert train.main(at) == 0
            results.append(json.loads((tmp_path / precision / f"resnet20-fast-{seed}" / "result.json").read_text()))
        assert {result["precision"] for result in results} == {precision}
        accuracies[precision] = np.array([result["test_accuracy"] for result in results])
    means = {precision: values.mean() for precision, values in accuracies.items()}
    error = np.sqrt(sum(values.var(ddof=1) / len(values) for values in accuracies.values()))
    print(accuracies)
    assert means["float32"] > 0.4  # the nets learn: chance is 0.1
    assert abs(means["bfloat16"] - means["float32"]) < max(3 * error, 0.02)


def test_lines_name_the_test_set(capsys, tmp_path):
    assert train.main([*FLAGS, "--epochs", "1", "--directory", str(tmp_path)]) == 0
    told = capsys.readouterr().out
    assert "test loss" in told and "test accuracy" in told and "validation" not in told


@pytest.mark.parametrize(
    ("path", "says"),
    [("net.foo", "must end in .safetensors"), ("none/net.safetensors", "must be in a folder that exists")],
)
def test_a_checkpoint_that_cannot_be_written_is_refused_before_the_training(path, says, capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(train, "once", lambda *_, **__: pytest.fail("trained"))
    with pytest.raises(SystemExit):
        train.main([*FLAGS, "--directory", str(tmp_path), "--checkpoint", str(tmp_path / path)])
    assert f"{says}. Received: {str(tmp_path / path)!r}" in capsys.readouterr().err


def test_bad_input(capsys, tmp_path):
    assert train.main([*FLAGS, "--train-examples", "60000", "--directory", str(tmp_path)]) == 1
    assert "train_examples must lie in" in capsys.readouterr().err
    with only_one(tmp_path / "resnet20-fast-0"), pytest.raises(SystemExit, match="Another process is at work in"):
        train.main([*FLAGS, "--directory", str(tmp_path)])
    with pytest.raises(SystemExit):
        train.main([*FLAGS, "--epochs", "0"])
    assert "must be a positive integer. Received: 0" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        train.main(["--variant", "resnet50"])
    assert "invalid choice: 'resnet50'" in capsys.readouterr().err
