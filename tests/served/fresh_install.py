"""Not a test: uses an installed wheel as a new user would. Run it in an environment that has only `[training]`.

python tests/served/fresh_install.py
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image


def write_images(folder: Path) -> None:
    """Two classes, dark and bright, of 12 images each."""
    rng = np.random.default_rng(0)
    for name, mean in (("dark", 60), ("bright", 190)):
        (folder / name).mkdir(parents=True)
        for i in range(12):
            pixels = rng.normal(mean, 20, (32, 32, 3)).clip(0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / name / f"{i}.png")


def run(*arguments: str, directory: Path) -> None:
    command = [sys.executable, "-m", "keras_resnet", *arguments]
    print("$", *command[1:], flush=True)
    subprocess.run(command, cwd=directory, check=True)


def main() -> None:
    import keras_resnet

    assert "site-packages" in keras_resnet.__file__, keras_resnet.__file__
    model = keras_resnet.ResNet50(input_shape=(224, 224, 3), classes=10)
    assert model.output_shape == (None, 10)
    model = keras_resnet.ResNet20(weights="cifar10", include_preprocessing=True)
    assert model(np.zeros((1, 32, 32, 3))).shape == (1, 10)
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        write_images(directory / "images")
        flags = ["--weights", "cifar10", "--epochs", "2", "--directory", "run"]
        run("finetune", "folder:images", "resnet20", *flags, directory=directory)
        run("predict", "run", "images/dark/0.png", directory=directory)
        assert (directory / "run" / "model.keras").exists()
    print("ok")


if __name__ == "__main__":
    main()
