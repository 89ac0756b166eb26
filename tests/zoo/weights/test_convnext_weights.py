import itertools

import pytest
import torch
import torch.nn.functional as F

from neocog.errors import CheckpointError
from neocog.zoo.networks.convnext import convnext
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.key_maps import timm_convnext, torchvision_convnext

# name: channels and blocks of each stage
PUBLISHED = {
    "convnext_tiny": ((96, 192, 384, 768), (3, 3, 9, 3)),
    "convnext_small": ((96, 192, 384, 768), (3, 3, 27, 3)),
    "convnext_base": ((128, 256, 512, 1024), (3, 3, 27, 3)),
    "convnext_large": ((192, 384, 768, 1536), (3, 3, 27, 3)),
}


def in_torchvision(s, b):
    """Scale, depthwise convolution, norm and the perceptron's two layers of a block."""
    block = f"features.{(1, 3, 5, 7)[s]}.{b}"
    return f"{block}.layer_scale", *(f"{block}.block.{i}" for i in (0, 2, 3, 5))


def in_timm(s, b):
    block = f"stages.{s}.blocks.{b}"
    return tuple(f"{block}.{part}" for part in ("gamma", "conv_dw", "norm", "mlp.fc1", "mlp.fc2"))


# library: our map, shape of a scale, names of a block, patches and norm of the stem and norm and patches of the stages
# behind the first, norm and classifier of the head
LIBRARIES = {
    "torchvision": (
        torchvision_convnext, (1, 1), in_torchvision,
        ("features.0.0", "features.0.1"), lambda s: (f"features.{2 * s}.0", f"features.{2 * s}.1"),
        ("classifier.0", "classifier.2"),
    ),
    "timm": (
        timm_convnext, (), in_timm,
        ("stem.0", "stem.1"), lambda s: (f"stages.{s}.downsample.0", f"stages.{s}.downsample.1"),
        ("head.norm", "head.fc"),
    ),
}  # fmt: skip


def published_shapes(library, variant):
    """The keys and shapes of the library's `state_dict`."""
    _, ones, names, stem, between, head = LIBRARIES[library]
    widths, depths = PUBLISHED[variant]
    shapes = {}

    def layer(name, *shape):
        shapes[f"{name}.weight"], shapes[f"{name}.bias"] = shape, shape[:1]

    layer(stem[0], widths[0], 3, 4, 4)
    layer(stem[1], widths[0])
    for s, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        if s > 0:
            layer(between(s)[0], width // 2)
            layer(between(s)[1], width, width // 2, 2, 2)
        for b in range(depth):
            scale, depthwise, norm, widen, narrow = names(s, b)
            shapes[scale] = (width, *ones)
            layer(depthwise, width, 1, 7, 7)
            layer(norm, width)
            layer(widen, 4 * width, width)
            layer(narrow, width, 4 * width)
    layer(head[0], widths[-1])
    layer(head[1], 1000, widths[-1])
    return shapes


def ours(variant):
    with torch.device("meta"):
        return convnext(variant).state_dict()


def on_meta(library, variant):
    return {key: torch.empty(shape, device="meta") for key, shape in published_shapes(library, variant).items()}


@pytest.mark.parametrize(("library", "variant"), list(itertools.product(LIBRARIES, PUBLISHED)))
def test_every_tensor_lands(library, variant):
    foreign, expected, key_map = on_meta(library, variant), ours(variant), LIBRARIES[library][0](variant)
    assert translate(key_map, foreign, expected).keys() == expected.keys()
    assert len(foreign) == len(expected)


@pytest.mark.parametrize(
    ("library", "scale"), [("torchvision", "features.5.8.layer_scale"), ("timm", "stages.2.blocks.8.gamma")]
)
def test_what_does_not_fit_is_named(library, scale):
    foreign, expected = on_meta(library, "convnext_tiny"), ours("convnext_tiny")
    key_map = LIBRARIES[library][0]("convnext_tiny")
    faults = {
        f"1 of its tensors are missing: {scale}": {k: v for k, v in foreign.items() if k != scale},
        r"1 of its tensors are unexpected: odd\.weight": foreign | {"odd.weight": torch.zeros(1)},
        f"of another shape: {scale} 192, where 384x1x1 is expected": foreign | {scale: torch.zeros(192)},
    }
    for message, tensors in faults.items():
        with pytest.raises(CheckpointError, match=message):
            translate(key_map, tensors, expected)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_logits_are_those_of_the_published_tensors(library):
    key_map, _, names, stem, between, head = LIBRARIES[library]
    generator, t = torch.Generator().manual_seed(0), {}
    for key, shape in published_shapes(library, "convnext_tiny").items():
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        t[key] = values * (0.1 if key.endswith("bias") else torch.Size(shape[1:]).numel() ** -0.5)

    def conv(maps, name, **options):
        return F.conv2d(maps, t[f"{name}.weight"], t[f"{name}.bias"], **options)

    def dense(places, name):
        return F.linear(places, t[f"{name}.weight"], t[f"{name}.bias"])

    def norm(places, name):
        return F.layer_norm(places, places.shape[-1:], t[f"{name}.weight"], t[f"{name}.bias"], eps=1e-6)

    def norm_maps(maps, name):
        return norm(maps.movedim(1, -1), name).movedim(-1, 1)

    images = torch.randn(2, 3, 64, 39, dtype=torch.float64)
    maps = norm_maps(conv(images, stem[0], stride=4), stem[1])
    for s, depth in enumerate(PUBLISHED["convnext_tiny"][1]):
        if s > 0:
            maps = conv(norm_maps(maps, between(s)[0]), between(s)[1], stride=2)
        for b in range(depth):
            scale, depthwise, name, widen, narrow = names(s, b)
            places = norm(conv(maps, depthwise, padding=3, groups=maps.shape[1]).movedim(1, -1), name)
            added = dense(F.gelu(dense(places, widen)), narrow) * t[scale].flatten()
            maps = maps + added.movedim(-1, 1)
    logits = dense(norm(maps.mean((2, 3)), head[0]), head[1])
    assert (logits[0] - logits[1]).std() > 0.01 * logits.std()  # the images count, not only biases

    model = convnext("convnext_tiny").double().eval()
    model.load_state_dict(translate(key_map("convnext_tiny"), t, model.state_dict()))
    torch.testing.assert_close(model(images), logits, rtol=1e-6, atol=1e-9)
