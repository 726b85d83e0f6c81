"""Drawings of a network and of its building blocks as SVG.

The whole network is drawn as a column, as in He 2015 (arXiv:1512.03385), Fig. 3. A block is drawn as in Fig. 5 of that
paper and as in He 2016 (arXiv:1603.05027), Fig. 4. All information is read from the layers of the network.
"""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple
from xml.sax.saxutils import escape

import keras

from keras_resnet.files import write_text
from keras_resnet.initialization import without_drawing
from keras_resnet.layers import ZeroPadChannels
from keras_resnet.network import Network, input_tensors, require_network
from keras_resnet.resnet import ResNet
from keras_resnet.variants import DenseVariant, Variant

INPUT, HEAD = (-1, "image"), (0, "head")  # parts that belong to no stage
FITS = 40  # maximal number of weight layers in a column; in deeper networks, equal blocks are drawn once
STAGE = re.compile(r"(?:conv|pool)(\d+)(?:_(block\d+))?")  # blocks.py and stems.py define these layer names
COLORS = ("#fce5cd", "#d9d2e9", "#d9ead3", "#f4cccc", "#cfe2f3", "#fff2cc")  # for conv1, conv2_x, ...
PALE = {"norm": "#eeeeee", "relu": "#ffffff", "drop": "#ffffff", "gate": "#ffffff"}
NAMES = {"BatchNormalization": "BN", "GroupNormalization": "GN", "relu": "ReLU"}
BOX, HEIGHT, GAP, SIDE = 150, 20, 12, 185  # in pixels; SIDE: distance of the main path and the shortcut of a block
STYLE = """
text { font-family: Helvetica, Arial, sans-serif; font-size: 11px; fill: #111; text-anchor: middle }
.title { font-size: 15px; font-weight: bold; text-anchor: start }
.note, .kind { font-size: 10px; fill: #444; text-anchor: start }
.function { text-anchor: end; font-style: italic }
.times { text-anchor: end; font-size: 12px }
.stage { font-size: 13px; font-weight: bold; text-anchor: start }
rect, circle { stroke: #444 }
path { stroke: #222; stroke-width: 1.2; fill: none }
.dashed { stroke-dasharray: 5 3 }
"""


class Step(NamedTuple):
    """A layer in a drawing: its kind and its label. For a gate, `branch` contains the layers that compute the scale."""

    kind: str  # weight, pool, norm, relu, pad, drop, gate or other
    text: str
    strides: bool = False
    branch: tuple["Step", ...] = ()


class Part(NamedTuple):
    """The stem, a residual block, a dense layer, a transition or the head."""

    stage: int
    name: str
    trunk: tuple[Step, ...]  # layers before the shortcut
    main: tuple[Step, ...]  # F(x)
    beside: tuple[Step, ...]  # on the shortcut
    after: tuple[Step, ...]  # after the addition
    merge: str  # "+", "concat", or "" without a shortcut
    changed: bool  # whether the shortcut changes the shape
    size: str  # size of the output

    @property
    def shortcut(self) -> str:
        """The kind of shortcut, such as "projection"."""
        if self.merge == "concat":
            return "concatenation"
        names = {"weight": "projection", "pool": "pool", "pad": "zero-padding", "subsample": "subsampling"}
        return " + ".join(names[step.kind] for step in self.beside if step.kind in names) or "identity"

    @property
    def visible(self) -> tuple[Step, ...]:
        """The layers that are drawn in the column."""
        steps = (*self.trunk, *self.main, *self.after)
        return tuple(step for step in steps if step.kind in ("weight", "pool", "gate", "other"))

    def looks(self) -> tuple:
        return self.stage, self.visible, self.shortcut, self.merge, self.changed

    def structure(self) -> tuple:
        """The structure of the building block without its sizes."""
        paths = (self.trunk, self.main, self.beside, self.after)
        return self.merge, *(tuple(step.kind for step in path) for path in paths)


def draw(
    model_or_name: keras.Model | Variant | DenseVariant | str,
    path: str | os.PathLike | None = None,
    *,
    block: bool = False,
    unfolded: bool = False,
    **fields: Any,
) -> str:
    """Returns a drawing of a network as SVG: the whole network as in He 2015, Fig. 3, and its building blocks.

    The whole network is drawn as a column of weight layers, pooling layers and gates. Arcs are shortcuts. They are
    dashed if the shortcut changes the shape, and they have a label if the shortcut is not the identity. Next to the
    column, each kind of building block is drawn with all its layers, as in He 2016, Fig. 4. Multiplications and
    additions are drawn as circles.

    Args:
        model_or_name: A network of this package, a model that contains one, or a name or a variant as in `ResNet`.
        path: Path of an `.svg` file to write. An existing file is not changed if an error occurs. Defaults to None, no
            file.
        block: Whether to draw only the building blocks. Defaults to False.
        unfolded: Whether to draw every block. If it is False and the network has more than 40 weight layers, equal
            consecutive blocks are drawn once, with their number. Defaults to False.
        **fields: Other arguments of `ResNet`, such as `shortcut="projection"`. Only allowed if `model_or_name` is a
            name or a variant.

    Returns:
        A string, the text of the SVG file.

    Raises:
        ValueError: If `path` does not end in `.svg`, if `model_or_name` is not a network or contains none, or if
            `fields` are given with a model. Also in the cases in which `ResNet` raises it.
        OSError: If the file cannot be written.

    Example:
        >>> svg = keras_resnet.draw("resnet20", "resnet20.svg", shortcut="projection")
        >>> svg.count('class="arc"'), svg.count('class="arc dashed"')
        (7, 2)
    """
    if path is not None and Path(path).suffix.lower() != ".svg":
        raise ValueError(f"path must end in .svg. Received: {str(path)!r}")
    if isinstance(model_or_name, str | Variant | DenseVariant):
        with without_drawing():
            network = ResNet(model_or_name, **fields)
    elif fields:
        raise ValueError(f"fields are for names of networks. Received: a model, and {sorted(fields)}")
    else:
        network = require_network(model_or_name, "model_or_name")
    parts = read_parts(network)
    canvas = Canvas()
    canvas.text(20, 26, network.name if len(network.name) <= 60 else f"{network.name[:60]}...", "title")
    reach = (0.0, 40.0)
    if not block:
        with canvas.group("column"):
            reach = draw_column(canvas, parts, unfolded)
    with canvas.group("blocks"):
        draw_blocks(canvas, parts, *reach)
    svg = canvas.svg()
    if path is not None:
        write_text(path, svg)
    return svg


# ---- the network as data


def read_parts(network: Network) -> list[Part]:
    """Returns the parts of a network in their order."""
    sources: dict[str, list[str]] = {}
    shapes: dict[str, tuple] = {}
    groups: dict[tuple[int, str], list[str]] = {}
    layers = network.get_config()["layers"]
    stages = [STAGE.match(layer["name"]) for layer in layers]
    key, (*_, last_stage) = INPUT, (i for i, found in enumerate(stages) if found)
    for i, (config, found) in enumerate(zip(layers, stages, strict=True)):
        tensors = list(input_tensors(config["inbound_nodes"]))
        name = config["name"]
        sources[name] = [tensor["keras_history"][0] for tensor in tensors]
        shapes |= {tensor["keras_history"][0]: tuple(tensor["shape"][1:]) for tensor in tensors}
        if found:
            key = (int(found[1]), found[2] or found[0])
            if key[0] == 1:  # He 2015, Table 1: the pooling layer belongs to conv2_x
                key = (2, "pool1") if found[0] == "pool1" else (1, "stem")
        groups.setdefault(HEAD if i > last_stage else key, []).append(name)
    last = network.layers[-1].name
    shapes.setdefault(last, tuple(network.output_shape[1:]))
    return [read_part(network, number, block, members, sources, shapes) for (number, block), members in groups.items()]


def read_part(network, stage, block, members, sources, shapes) -> Part:
    used = {source for name in members for source in sources[name]}
    (end,) = [name for name in members if name not in used]

    def walk(name: str) -> list[str]:
        """Returns the layers of this part on the path to `name`. At a gate, it follows the input that is scaled."""
        found = []
        while name in members:
            found.append(name)
            name = sources[name][0] if sources[name] else ""
        return found[::-1]

    def steps(names: list[str]) -> Iterator[Step]:
        for name in names:
            layer = network.get_layer(name)
            if isinstance(layer, keras.layers.Multiply):
                scaled, scale = (walk(source) for source in sources[name])
                branch = tuple(steps([each for each in scale if each not in scaled]))
                yield Step("gate", str(network.variant.gate).upper(), branch=branch)
            elif found := step_of(layer, shapes.get(next(iter(sources[name]), ""), ())):
                yield found

    merges = [name for name in members if isinstance(network.get_layer(name), MERGES)]
    trunk: list[str] = []
    main, beside, after, merge, changed = walk(end), trunk, trunk, "", False
    if merges:
        (at,) = merges
        start, to = sources[at]  # the shortcut, F(x)
        beside, main, after = walk(start), walk(to), main[main.index(at) + 1 :]
        trunk = [name for name in main if name in beside]
        beside, main = ([name for name in path if name not in trunk] for path in (beside, main))
        merge = "concat" if isinstance(network.get_layer(at), keras.layers.Concatenate) else "+"
        before = shapes[sources[beside[0]][0] if beside else start]
        changed = before != shapes[start] or any(step.strides for step in steps(beside))
    # In DenseNets, the last layer of a part can be the padding of the next part.
    padding = (keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D)
    inner = [name for name in walk(end) if not isinstance(network.get_layer(name), padding)]
    size = "x".join("?" if length is None else str(length) for length in shapes[inner[-1]][:-1])
    before_fork, residual, shortcut, end_of_block = (tuple(steps(path)) for path in (trunk, main, beside, after))
    title = block if block.startswith("pool") else f"conv{stage}_{block}"
    return Part(stage, title, before_fork, residual, shortcut, end_of_block, merge, changed, size)


MERGES = (keras.layers.Add, keras.layers.Concatenate)
# layers that are not drawn
SILENT = (keras.layers.ZeroPadding2D, keras.layers.ZeroPadding3D, keras.layers.Identity, keras.layers.Reshape)


def step_of(layer: Any, shape: tuple) -> Step | None:
    """Returns the `Step` for a layer whose input has the shape `shape`. Returns None for a layer that is not drawn."""
    kind, activation = type(layer).__name__, getattr(layer, "activation", None)
    function = getattr(activation, "__name__", "linear")
    tail = "" if function == "linear" else f", {NAMES.get(function, function)}"
    if isinstance(layer, (*MERGES, *SILENT)):
        return None
    if isinstance(layer, ZeroPadChannels):
        grows = layer.filters != shape[-1]
        name = "pad" if grows else "subsample"
        text = f"{'zero-padding' if grows else 'subsampling'}{strides_of((layer.stride,))}"
        return Step(name, text, layer.stride > 1)
    if isinstance(layer, keras.layers.Dense):
        return Step("weight", f"fc {layer.units}{tail}")
    if isinstance(layer, keras.layers.Conv1D):
        return Step("weight", f"1-D conv, width {layer.kernel_size[0]}{tail}")
    if hasattr(layer, "kernel_size"):
        text = f"{times(layer.kernel_size)} conv, {layer.filters}{strides_of(layer.strides)}"
        text += f", {layer.groups} groups" if layer.groups > 1 else ""
        text += f", dilated {max(layer.dilation_rate)}" if max(layer.dilation_rate) > 1 else ""
        return Step("weight", text + tail, max(layer.strides) > 1)
    if "Pooling" in kind:
        name = "max pool" if "Max" in kind else "avg pool"
        if kind.startswith("Global"):
            return Step("pool", f"global {name}")
        return Step("pool", f"{times(layer.pool_size)} {name}{strides_of(layer.strides)}", max(layer.strides) > 1)
    if isinstance(layer, keras.layers.Dropout):
        name = "dropout" if layer.noise_shape is None else "drop path"
        return Step("drop", f"{name} {layer.rate:.2g}")
    if isinstance(layer, keras.layers.InputLayer):
        return Step("other", "clip" if len(layer.batch_shape) == 5 else "image")
    if isinstance(layer, keras.layers.ReLU):
        return Step("relu", "ReLU")
    return Step("norm" if kind in NAMES else "other", NAMES.get(kind, kind))


def times(numbers) -> str:
    return "x".join(map(str, numbers))


def strides_of(strides) -> str:
    if max(strides) == 1:
        return ""
    return f", /{strides[0]}" if len({*strides}) == 1 else f", /{times(strides)}"


# ---- the drawing


class Canvas:
    """The elements of an SVG, and the width and height that they need."""

    def __init__(self):
        self.elements, self.width, self.height = [], 300.0, 40.0

    @contextmanager
    def group(self, kind):
        self.elements.append(f'<g class="{kind}">')
        yield
        self.elements.append("</g>")

    def reach(self, x, y) -> None:
        self.width, self.height = max(self.width, x + 20), max(self.height, y + 20)

    def text(self, x, y, text, kind="label") -> None:
        self.elements.append(f'<text class="{kind}" x="{x:g}" y="{y:g}">{escape(printable(text))}</text>')
        size = {"title": 9, "stage": 8}.get(kind, 5.6)
        self.reach(x + size * len(text) if kind != "label" else x, y)

    def box(self, x, y, step: Step, color) -> None:
        """Draws a step as a box. (x, y) is the center of its upper edge."""
        width = max(BOX, 5.8 * len(step.text) + 10) if step.kind not in ("norm", "relu", "drop") else 90
        color = PALE.get(step.kind, color)
        self.elements.append(
            f'<rect class="{step.kind}" x="{x - width / 2:g}" y="{y:g}" width="{width:g}" height="{HEIGHT}" rx="3" '
            f'fill="{color}"/>'
        )
        self.text(x, y + 14, step.text)
        self.reach(x + width / 2, y + HEIGHT)

    def path(self, d: str, kind="line", arrow=True) -> None:
        end = ' marker-end="url(#arrow)"' if arrow else ""
        self.elements.append(f'<path class="{kind}" d="{d}"{end}/>')

    def circle(self, x, y, text) -> None:
        """Draws a circle for a sum, a product or a concatenation. Its height is 18 pixels, and its top is (x, y)."""
        self.elements.append(f'<circle class="merge" cx="{x:g}" cy="{y + 9:g}" r="9" fill="#ffffff"/>')
        self.text(x, y + 13, {"concat": "c"}.get(text, text))

    def svg(self) -> str:
        marker = (
            '<defs><marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" '
            'orient="auto"><path d="M 0 0 L 8 4 L 0 8 z" style="fill: #222; stroke: none"/></marker></defs>'
        )
        width, height = round(self.width), round(self.height)
        lines = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
            f'viewBox="0 0 {width} {height}">',
            f"<style>{STYLE}</style>{marker}",
            f'<rect class="page" width="{width}" height="{height}" style="fill: #ffffff; stroke: none"/>',
            *self.elements,
            "</svg>\n",
        ]
        return "\n".join(lines).encode("ascii", "xmlcharrefreplace").decode()


def printable(text: str) -> str:
    """Replaces the characters that XML forbids by question marks."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "?", text)


def color_of(stage: int) -> str:
    return COLORS[(stage - 1) % len(COLORS)] if stage > 0 else "#ffffff"


def draw_column(canvas: Canvas, parts: list[Part], unfolded: bool) -> tuple[float, float]:
    """Draws the network as in He 2015, Fig. 3. Returns the x of its right edge and the y of its lower edge."""
    weights = sum(step.kind == "weight" for part in parts for step in part.visible)
    folds = weights > FITS and not unfolded
    runs = [[*run] for _, run in groupby(parts, Part.looks)] if folds else [[part] for part in parts]
    x, y, right = 260.0, 60.0, 370.0
    canvas.text(20, 44, "Solid arcs: shortcuts that keep the shape. Dashed: the shape changes.", "note")
    sizes = {part.stage: part.size for part in parts if not part.name.startswith("pool")}
    drawn = {-1, 0}
    for run in runs:
        part = run[0]
        if not part.visible:
            continue
        if part.stage not in drawn:
            drawn.add(part.stage)
            canvas.text(20, y + 24, "conv1" if part.stage == 1 else f"conv{part.stage}_x", "stage")
            canvas.text(20, y + 39, f"output {sizes[part.stage]}", "note")
        top = y
        for step in part.visible:
            if y > 60:
                canvas.path(f"M {x:g} {y:g} V {y + GAP:g}")
            canvas.box(x, y + GAP, step, color_of(part.stage))
            y += GAP + HEIGHT
        if run is not runs[-1]:
            canvas.path(f"M {x:g} {y:g} V {y + 8:g}", arrow=False)
        y += 8
        if part.merge:
            out, start = x + BOX / 2 + 10, top + 4
            dashed = " dashed" if part.changed else ""
            canvas.path(
                f"M {x:g} {start:g} H {out:g} C {out + 36:g} {start:g} {out + 36:g} {y:g} {out:g} {y:g} H {x + 2:g}",
                f"arc{dashed}",
            )
            if part.shortcut != "identity":
                canvas.text(out + 32, (top + y) / 2 + 4, part.shortcut, "kind")
                right = max(right, out + 32 + 5.6 * len(part.shortcut))
        if len(run) > 1:
            edge = x - BOX / 2 - 8
            canvas.path(f"M {edge:g} {top + 8:g} h -6 V {y - 4:g} h 6", "bracket", arrow=False)
            canvas.text(edge - 24, (top + y) / 2 + 5, f"{len(run)} ×", "times")
    return right, y


def draw_blocks(canvas: Canvas, parts: list[Part], left: float, bottom: float) -> None:
    """Draws each kind of building block once, in columns to the right of `left` that end at the height `bottom`."""
    blocks = [part for part in parts if "block" in part.name]
    kinds: dict[tuple, list[Part]] = {}
    for part in blocks:
        kinds.setdefault(part.structure(), []).append(part)
    x, y = left + 30, 60.0
    for alike in kinds.values():
        height = 80 + sum(map(height_of, (*alike[0].trunk, *alike[0].main, *alike[0].after)))
        if y > 60 and y + height > bottom:
            x, y = canvas.width + 20, 60.0
        draw_block(canvas, alike[0], x, y, f"{len(alike)} of {len(blocks)} blocks")
        y += height + 30


def height_of(step: Step) -> float:
    return (GAP + HEIGHT) * (1 + len(step.branch))


def draw_block(canvas: Canvas, part: Part, left: float, y: float, number: str) -> None:
    """Draws a building block as in He 2016, Fig. 4.

    The gate is on the left, F(x) is in the middle, and the shortcut is on the right.
    """
    gated = any(step.branch for step in part.main)
    x, color = left + BOX / 2 + (SIDE if gated else 0), color_of(part.stage)
    canvas.text(left, y, part.name, "stage")
    canvas.text(left, y + 14, number, "note")

    def down(steps, y: float, x=x) -> float:
        for step in steps:
            if step.branch:
                canvas.path(f"M {x:g} {y + 4:g} H {x - SIDE:g} V {y + GAP:g}")
                canvas.path(f"M {x:g} {y:g} V {y + height_of(step) - 18:g}")
                end = down(step.branch, y, x - SIDE)
                canvas.path(f"M {x - SIDE:g} {end:g} V {y + height_of(step) - 9:g} H {x - 9:g}")
                y += height_of(step)
                canvas.circle(x, y - 18, "×")
                canvas.text(x - SIDE / 2, y - 14, step.text)
            else:
                canvas.path(f"M {x:g} {y:g} V {y + GAP:g}")
                canvas.box(x, y + GAP, step, color)
                y += GAP + HEIGHT
        return y

    canvas.text(x, y + 34, "x")
    fork = down(part.trunk, y + 38)
    end = down(part.main, fork)
    if part.merge:
        kind = f"shortcut{' dashed' if part.changed else ''}"
        beside, middle = x + SIDE, fork + (end - fork - (GAP + HEIGHT) * len(part.beside)) / 2
        canvas.path(f"M {x:g} {fork + 4:g} H {beside:g} V {middle if part.beside else end + 21:g}", kind, arrow=False)
        after = down(part.beside, middle, beside)
        if part.beside:
            canvas.path(f"M {beside:g} {after:g} V {end + 21:g} H {x + 9:g}", kind)
        else:
            canvas.path(f"M {beside:g} {end + 21:g} H {x + 9:g}", kind)
            canvas.text(beside + 6, (fork + end) / 2 + 4, "identity", "kind")
        canvas.path(f"M {x:g} {end:g} V {end + GAP:g}")
        canvas.circle(x, end + GAP, part.merge)
        canvas.text(x - 13, end + GAP + 5, "F(x)", "function")
        end += GAP + 18
    end = down(part.after, end)
    canvas.path(f"M {x:g} {end:g} V {end + 14:g}")
    canvas.reach(x, end + 14)
