"""`python -m experiments.landscape`: random directions with the norms of the filters, and the losses along them."""

import json

import numpy as np
from conftest import randomize, tiny

from experiments import landscape
from keras_resnet.files import write_json


def test_filters_of_a_direction_have_the_norms_of_the_weights(rng):
    weights = [rng.normal(size=(3, 3, 4, 5)), rng.normal(size=(5,)), rng.normal(size=(6, 7))]
    first, second, third = landscape.filter_normalized(weights, np.random.default_rng(1))
    norm = lambda values, axes: np.sqrt(np.square(values).sum(axis=axes))  # noqa: E731
    np.testing.assert_allclose(norm(first, (0, 1, 2)), norm(weights[0], (0, 1, 2)))
    np.testing.assert_allclose(norm(third, 0), norm(weights[2], 0))
    assert not second.any()
    assert abs(np.corrcoef(first.ravel(), weights[0].ravel())[0, 1]) < 0.3


def test_the_middle_is_the_network_and_the_weights_return(rng):
    model = randomize(tiny())
    before = model.get_weights()
    images = rng.normal(size=(30, 8, 8, 3)).astype("float32")
    labels = rng.integers(0, 3, 30)
    found = landscape.landscape(model, images, labels, points=3, extent=0.5)
    probabilities = model.predict(images, verbose=0)
    expected = -np.log(probabilities[np.arange(30), labels]).mean()
    np.testing.assert_allclose(found["loss"][1][1], expected, rtol=1e-5)
    assert found["error"][1][1] == (probabilities.argmax(1) != labels).mean()
    assert len({value for row in found["loss"] for value in row}) == 9
    for now, then in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(now, then)


def test_the_command(tmp_path, capsys):
    cell = tmp_path / "tiny-seed0"
    cell.mkdir()
    randomize(tiny(image_size=32, classes=10)).save(cell / "model.keras")
    assert landscape.main([str(cell), "--directory", str(tmp_path / "out")]) == 1
    assert "must be a finished cell or run" in capsys.readouterr().err
    write_json(cell / "result.json", {"dataset": "digits", "commit": "abc"})
    command = [str(cell), "--directory", str(tmp_path / "out"), "--points", "3", "--images", "4"]
    assert landscape.main([*command]) == 0
    result = json.loads((tmp_path / "out" / "tiny-seed0.json").read_text())
    assert (len(result["loss"]), result["commit"]) == (3, "abc")
    assert (tmp_path / "out" / "figure.png").stat().st_size > 5_000
    (cell / "model.keras").unlink()
    assert landscape.main([*command]) == 0  # the second call computes nothing
