"""Script that tests/test_devices.py runs in new processes. It trains a small network and prints the losses as JSON.

python tests/parallel_job.py DEVICES NORM [PROCESS OF PROCESSES PORT]
"""

import json
import os
import sys

devices, norm, *job = sys.argv[1:]
devices = int(devices)
process, processes, port = map(int, job) if job else (0, 1, 0)
local = devices // processes
os.environ["XLA_FLAGS"] = f"--xla_force_host_platform_device_count={local} --xla_backend_optimization_level=0"
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras  # noqa: E402
import numpy as np  # noqa: E402

if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * local)
if processes > 1:
    import jax

    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    keras.distribution.initialize(f"127.0.0.1:{port},127.0.0.1:{port}", processes, process)

import keras_resnet  # noqa: E402
from keras_resnet.training.devices import on_devices  # noqa: E402

rng = np.random.default_rng(0)
x, y = rng.normal(size=(64, 8, 8, 3)).astype("float32"), rng.integers(3, size=64)
if processes > 1:
    scope = keras.distribution.DataParallel(auto_shard_dataset=False)
    keras.distribution.set_distribution(scope)
    batches = x.reshape(4, processes, 16 // processes, 8, 8, 3), y.reshape(4, processes, 16 // processes)
    x, y = (array[:, process].reshape(-1, *array.shape[3:]) for array in batches)

keras.utils.set_random_seed(0)
with on_devices(1 if processes > 1 else devices):
    net = keras_resnet.ResNet(keras_resnet.cifar(8), input_shape=(8, 8, 3), classes=3, norm=norm)
    net.set_weights([rng.normal(0.05, 0.1, w.shape) if w.ndim > 1 else w for w in net.get_weights()])
    net.compile(keras.optimizers.SGD(0.05, momentum=0.9), "sparse_categorical_crossentropy")
    fitted = net.fit(x, y, batch_size=len(x) // 4, epochs=3, shuffle=False, verbose=0)
variances = [float(np.sum(net.get_layer(name).moving_variance)) for name in ("conv1_bn", "conv4_block1_2_bn")]
print(json.dumps({"losses": fitted.history["loss"], "variances": variances}))
