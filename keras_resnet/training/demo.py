"""A local web page that classifies an uploaded image and shows the class activation map of the top-1 class."""

import os

import keras

from keras_resnet.training.evaluation import explained, predict


def page(model: keras.Model):
    """Returns a Gradio page for a network.

    Args:
        model: A network whose preprocessing is known, such as the network of a run.

    Returns:
        A `gradio.Interface`. Call its `launch()` to serve the page.

    Raises:
        ImportError: If Gradio is not installed.
    """
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")  # Gradio reads it when it is imported
    try:
        import gradio
    except ImportError as error:
        raise ImportError(f"{error}. Run: pip install 'keras-resnet-family[demo]'") from error

    def classify(image):
        if image is None:
            return {}, None
        (classes,) = predict(model, image)
        return dict(classes), explained(model, image)

    return gradio.Interface(
        classify,
        gradio.Image(type="pil", label="Image"),
        [gradio.Label(label="Classes", num_top_classes=5), gradio.Image(label="Class activation map")],
        title=model.name,
        description="The class activation map shows which parts of the image raise the score of the first class.",
        flagging_mode="never",
        api_name="classify",
    )
