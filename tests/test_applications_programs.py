"""Programs based on keras.io examples, with tiny data. They run with both `keras_resnet` and `keras.applications`."""

from types import SimpleNamespace

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import randomize
from keras import layers, ops

from keras_resnet import applications

# the layers whose outputs are used by these programs and by U-Nets
TAPS = {
    "ResNet50": [
        *("conv1_relu", "conv2_block3_2_relu", "conv2_block3_out", "conv3_block4_out", "conv4_block6_2_relu"),
        *("conv4_block6_out", "conv5_block1_out", "conv5_block3_out"),
    ],
    "ResNet50V2": [
        *("conv1_conv", "conv2_block3_1_relu", "conv3_block4_1_relu", "conv4_block6_1_relu", "post_bn", "post_relu"),
        *("conv2_block3_preact_relu", "conv3_block4_out", "conv5_block3_out"),
    ],
    "DenseNet121": [
        *("conv1_relu", "pool1", "pool2_relu", "pool3_relu", "pool4_relu", "pool4_conv", "conv5_block16_concat", "bn"),
        "relu",
    ],
}


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """Files with random weights that replace the published files of Keras."""
    folder, files = tmp_path_factory.mktemp("published"), {}

    def file(name, url, **options):
        if name not in files:
            builders = {"resnet50": "ResNet50", "densenet121": "DenseNet121"}
            build = getattr(keras.applications, builders[name.split("_")[0]])
            files[name] = folder / name
            randomize(build(weights=None, include_top="notop" not in name)).save(files[name])
        return str(files[name])

    yield file
    for path in files.values():
        path.unlink()


@pytest.fixture(params=["keras_resnet", "keras"])
def package(request, published, monkeypatch):
    """`keras_resnet.applications` or `keras.applications`. `weights="imagenet"` does not download."""
    if request.param == "keras_resnet":
        monkeypatch.setattr(keras.utils, "get_file", published)
        return applications
    for build in (keras.applications.ResNet50, keras.applications.DenseNet121):
        monkeypatch.setattr(build.__globals__["file_utils"], "get_file", published)
    return keras.applications


def pixels(count, size):
    return np.random.default_rng(0).uniform(0, 255, (count, size, size, 3)).astype("float32")


def trained(model, *data, **options):
    """Runs two steps of `fit` on a compiled model. The loss must be finite."""
    loss = model.fit(*data, batch_size=2, epochs=1, verbose=0, **options).history["loss"]
    assert np.isfinite(loss).all()


@pytest.mark.parametrize("name", TAPS)
def test_taps_give_the_feature_maps_of_keras(name, tmp_path):
    net = randomize(getattr(keras.applications, name)(weights=None, include_top=False, input_shape=(64, 96, 3)))
    net.save_weights(tmp_path / "net.weights.h5")
    model = getattr(applications, name)(False, tmp_path / "net.weights.h5", input_shape=(64, 96, 3))
    (tmp_path / "net.weights.h5").unlink()
    x = np.random.default_rng(0).normal(size=(1, 64, 96, 3)).astype("float32")
    ours, theirs = (
        keras.Model(each.input, {tap: each.get_layer(tap).output for tap in TAPS[name]})(x) for each in (model, net)
    )
    for tap in TAPS[name]:
        expected = np.asarray(theirs[tap])
        assert np.abs(ours[tap] - expected).max() <= 1e-5 * np.abs(expected).max(), tap


@pytest.mark.slow
def test_deeplab_v3_plus(package):
    """keras.io/examples/vision/deeplabv3_plus: features of stride 16 and 4, after a symbolic `preprocess_input`."""
    size, classes = 64, 3

    def conv(x, filters=8, kernel_size=3, dilation_rate=1):
        x = layers.Conv2D(filters, kernel_size, dilation_rate=dilation_rate, padding="same", use_bias=False)(x)
        return ops.relu(layers.BatchNormalization()(x))

    def enlarged(x, side):
        return layers.UpSampling2D((side // x.shape[1], side // x.shape[2]), interpolation="bilinear")(x)

    image = keras.Input((size, size, 3))
    preprocessed = package.resnet50.preprocess_input(image)
    backbone = package.ResNet50(weights="imagenet", include_top=False, input_tensor=preprocessed)
    x = backbone.get_layer("conv4_block6_2_relu").output
    assert x.shape == (None, size // 16, size // 16, 256)
    pooled = enlarged(conv(layers.AveragePooling2D(x.shape[1:3])(x), kernel_size=1), x.shape[1])
    x = layers.Concatenate()([pooled, conv(x, kernel_size=1), *(conv(x, dilation_rate=rate) for rate in (6, 12, 18))])
    low = backbone.get_layer("conv2_block3_2_relu").output
    assert low.shape == (None, size // 4, size // 4, 64)
    x = conv(layers.Concatenate()([enlarged(conv(x, kernel_size=1), size // 4), conv(low, kernel_size=1)]))
    model = keras.Model(image, layers.Conv2D(classes, 1)(enlarged(x, size)))
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    trained(model, pixels(4, size), np.zeros((4, size, size, 1)))
    assert model.predict(pixels(1, size), verbose=0).shape == (1, size, size, classes)


@pytest.mark.slow
def test_retinanet(package):
    """keras.io/examples/vision/retinanet: a list as `input_shape`, nested `inputs`, a subclassed detector."""
    backbone = package.ResNet50(include_top=False, input_shape=[None, None, 3])
    names = ["conv3_block4_out", "conv4_block6_out", "conv5_block3_out"]
    taps = keras.Model(inputs=[backbone.inputs], outputs=[backbone.get_layer(name).output for name in names])

    class Detector(keras.Model):
        def __init__(self):
            super().__init__()
            self.backbone, self.enlarge = taps, layers.UpSampling2D(2)
            self.lateral = [layers.Conv2D(16, 1) for _ in names]
            self.further = [layers.Conv2D(16, 3, strides=2, padding="same") for _ in range(2)]
            self.head = keras.Sequential([keras.Input((None, None, 16)), layers.Conv2D(9 * 5, 3, padding="same")])

        def call(self, images, training=False):
            c3, c4, c5 = self.backbone(images, training=training)
            p3, p4, p5 = (conv(c) for conv, c in zip(self.lateral, (c3, c4, c5), strict=True))
            p4 = p4 + self.enlarge(p5)
            p3 = p3 + self.enlarge(p4)
            p6 = self.further[0](c5)
            p7 = self.further[1](tf.nn.relu(p6))
            return tf.concat([tf.reshape(self.head(p), [tf.shape(p)[0], -1, 5]) for p in (p3, p4, p5, p6, p7)], 1)

    model = Detector()
    images = package.resnet.preprocess_input(pixels(4, 64))
    anchors = 9 * (8 * 8 + 4 * 4 + 2 * 2 + 1 + 1)
    assert model(images[:1]).shape == (1, anchors, 5)
    model.compile(keras.optimizers.SGD(1e-3), "mse")
    trained(model, images, np.zeros((4, anchors, 5)))


@pytest.mark.slow
def test_siamese_network(package):
    """keras.io/examples/vision/siamese_network: frozen up to `conv5_block1_out`, with a custom `train_step`."""
    shape = (64, 64, 3)
    base = package.resnet.ResNet50(weights="imagenet", input_shape=shape, include_top=False)
    x = layers.Dense(16, activation="relu")(layers.Flatten()(base.output))
    embedding = keras.Model(base.input, layers.Dense(8)(layers.BatchNormalization()(x)), name="Embedding")
    trainable = False
    for layer in base.layers:
        trainable = trainable or layer.name == "conv5_block1_out"
        layer.trainable = trainable
    assert not base.get_layer("conv5_block1_3_conv").trainable and base.get_layer("conv5_block2_1_conv").trainable

    class Distances(layers.Layer):
        def call(self, anchor, positive, negative):
            return ops.sum(tf.square(anchor - positive), -1), ops.sum(tf.square(anchor - negative), -1)

    inputs = [keras.Input(shape, name=name) for name in ("anchor", "positive", "negative")]
    network = keras.Model(inputs, Distances()(*(embedding(package.resnet.preprocess_input(x)) for x in inputs)))

    class Siamese(keras.Model):
        def __init__(self):
            super().__init__()
            self.network, self.tracker = network, keras.metrics.Mean(name="loss")

        def train_step(self, data):
            with tf.GradientTape() as tape:
                positive, negative = self.network(data)
                loss = tf.maximum(positive - negative + 0.5, 0.0)
            gradients = tape.gradient(loss, self.network.trainable_weights)
            self.optimizer.apply_gradients(zip(gradients, self.network.trainable_weights, strict=True))
            self.tracker.update_state(loss)
            return {"loss": self.tracker.result()}

    frozen = base.get_layer("conv4_block1_1_conv").kernel
    before = ops.convert_to_numpy(frozen)
    model = Siamese()
    model.compile(optimizer=keras.optimizers.Adam(1e-4))
    triplets = tf.data.Dataset.from_tensor_slices((pixels(4, 64), pixels(4, 64)[::-1], pixels(4, 64))).batch(2)
    assert np.isfinite(model.fit(triplets, verbose=0).history["loss"]).all()
    np.testing.assert_array_equal(frozen, before)


@pytest.mark.slow
def test_supervised_contrastive_learning(package):
    """keras.io/examples/vision/supervised-contrastive-learning: a nested encoder of 32 pixels, which is then frozen."""
    shape = (32, 32, 3)
    resnet = package.ResNet50V2(include_top=False, weights=None, input_shape=shape, pooling="avg")
    image = keras.Input(shape)
    encoder = keras.Model(image, resnet(layers.RandomFlip("horizontal")(layers.Rescaling(1 / 255)(image))))
    assert encoder.output_shape == (None, 2048)

    class Contrastive(keras.losses.Loss):
        def call(self, labels, features):
            features = ops.normalize(features, axis=1)
            logits = ops.matmul(features, ops.transpose(features)) / 0.05
            same = ops.cast(ops.equal(labels, ops.transpose(labels)), "float32")
            same = same / ops.sum(same, axis=1, keepdims=True)
            return keras.losses.categorical_crossentropy(same, logits, from_logits=True)

    image = keras.Input(shape)
    projected = keras.Model(image, layers.Dense(8, activation="relu")(encoder(image)))
    projected.compile("adam", Contrastive())
    labels = np.array([[0], [1], [0], [1]])
    trained(projected, pixels(4, 32), labels)
    for layer in encoder.layers:
        layer.trainable = False
    image = keras.Input(shape)
    classifier = keras.Model(image, layers.Dense(2, activation="softmax")(encoder(image)))
    assert len(classifier.trainable_weights) == 2
    classifier.compile("adam", "sparse_categorical_crossentropy")
    trained(classifier, pixels(4, 32), labels)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "last"), [("ResNet50", "conv5_block3_out"), ("DenseNet121", "relu")])
def test_grad_cam(name, last, package):
    """keras.io/examples/vision/grad_cam: gets the last convolutional layer by name and removes the softmax."""
    model = getattr(package, name)(weights="imagenet")
    module = SimpleNamespace(ResNet50=package.resnet50, DenseNet121=package.densenet)
    images = getattr(module, name).preprocess_input(pixels(1, 224))
    probabilities = model.predict(images, verbose=0)
    np.testing.assert_allclose(probabilities.sum(), 1, rtol=1e-4)
    model.layers[-1].activation = None
    grad_model = keras.models.Model(model.inputs, [model.get_layer(last).output, model.output])
    with tf.GradientTape() as tape:
        features, logits = grad_model(images)
        score = logits[:, int(np.argmax(logits[0]))]
    weights = tf.reduce_mean(tape.gradient(score, features), axis=(0, 1, 2))
    heatmap = np.maximum(features[0] @ weights[..., tf.newaxis], 0)
    assert heatmap.shape == (7, 7, 1) and np.isfinite(heatmap).all() and np.ptp(heatmap) > 0


@pytest.mark.slow
def test_semantic_image_clustering(package):
    """keras.io/examples/vision/semantic_image_clustering: the network in a Sequential model without an input shape."""
    encoder = keras.Sequential([package.ResNet50V2(include_top=False, weights=None, pooling="avg"), layers.Dense(16)])
    augmentation = keras.Sequential([layers.RandomTranslation(0.2, 0.2), layers.RandomFlip("horizontal")])

    class Learner(keras.Model):
        def __init__(self):
            super().__init__()
            self.encoder, self.tracker = encoder, keras.metrics.Mean(name="loss")
            self.projector = keras.Sequential([layers.Dense(8, use_bias=False), layers.BatchNormalization()])

        def call(self, inputs):
            views = layers.Concatenate(axis=0)([augmentation(inputs / 255, training=True) for _ in range(2)])
            return self.projector(self.encoder(views))

        def train_step(self, inputs):
            with tf.GradientTape() as tape:
                features = self(inputs, training=True)
                logits = tf.linalg.matmul(features, features, transpose_b=True) / 0.1
                targets = tf.tile(tf.eye(tf.shape(inputs)[0]), [2, 2])
                loss = keras.losses.categorical_crossentropy(targets, logits, from_logits=True)
            variables = self.trainable_variables
            self.optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
            self.tracker.update_state(loss)
            return {"loss": self.tracker.result()}

    learner = Learner()
    learner.compile(optimizer=keras.optimizers.AdamW(weight_decay=1e-4))
    trained(learner, pixels(4, 32))
    assert encoder.predict(pixels(2, 32), verbose=0).shape == (2, 16)


@pytest.mark.slow
def test_transfer_learning(package):
    """keras.io/guides/transfer_learning: a frozen base below a new head, then fine-tuning."""
    base = package.ResNet50(weights="imagenet", input_shape=(64, 64, 3), include_top=False)
    base.trainable = False
    inputs = keras.Input((64, 64, 3))
    x = base(package.resnet50.preprocess_input(inputs), training=False)
    outputs = layers.Dense(1)(layers.Dropout(0.2)(layers.GlobalAveragePooling2D()(x)))
    model = keras.Model(inputs, outputs)
    loss = keras.losses.BinaryCrossentropy(from_logits=True)
    assert len(model.trainable_weights) == 2
    before = [ops.convert_to_numpy(weight) for weight in base.weights]
    model.compile("adam", loss, metrics=[keras.metrics.BinaryAccuracy()])
    trained(model, pixels(4, 64), np.array([0, 1, 0, 1]))
    for weight, expected in zip(base.weights, before, strict=True):
        np.testing.assert_array_equal(weight, expected)
    base.trainable = True
    model.compile(keras.optimizers.Adam(1e-5), loss, metrics=[keras.metrics.BinaryAccuracy()])
    trained(model, pixels(4, 64), np.array([0, 1, 0, 1]))
    assert np.abs(base.get_layer("conv1_conv").kernel - before[0]).max() > 0


@pytest.mark.slow
def test_u_net_on_densenet(package):
    """A common U-Net: skip connections from `conv1_relu`, `pool2_relu`, `pool3_relu`, and a bridge at `pool4_relu`."""
    image = keras.Input((64, 64, 3), name="input_image")
    encoder = package.DenseNet121(include_top=False, weights="imagenet", input_tensor=image)
    x = encoder.get_layer("pool4_relu").output
    for name, filters in (("pool3_relu", 16), ("pool2_relu", 8), ("conv1_relu", 8), ("input_image", 4)):
        x = layers.Conv2DTranspose(filters, 2, strides=2, padding="same")(x)
        x = layers.Concatenate()([x, encoder.get_layer(name).output])
        x = layers.Conv2D(filters, 3, padding="same", activation="relu")(x)
    model = keras.Model(image, layers.Conv2D(1, 1, activation="sigmoid")(x))
    assert model.output_shape == (None, 64, 64, 1)
    model.compile("adam", "binary_crossentropy")
    trained(model, package.densenet.preprocess_input(pixels(4, 64)), np.zeros((4, 64, 64, 1)))
