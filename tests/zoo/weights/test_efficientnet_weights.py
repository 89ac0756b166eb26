import pytest
import torch
import torch.nn.functional as F

from neocog.errors import CheckpointError
from neocog.zoo.networks.efficientnet import efficientnet
from neocog.zoo.weights.key_map import translate
from neocog.zoo.weights.mobile_maps import timm_efficientnet, torchvision_efficientnet

# name: channels of the stem, of each stage, and of the last convolution; blocks of each stage
PUBLISHED = {
    "efficientnet_b0": (32, (16, 24, 40, 80, 112, 192, 320), 1280, (1, 2, 2, 3, 3, 4, 1)),
    "efficientnet_b1": (32, (16, 24, 40, 80, 112, 192, 320), 1280, (2, 3, 3, 4, 4, 5, 2)),
    "efficientnet_b2": (32, (16, 24, 48, 88, 120, 208, 352), 1408, (2, 3, 3, 4, 4, 5, 2)),
    "efficientnet_b3": (40, (24, 32, 48, 96, 136, 232, 384), 1536, (2, 3, 3, 5, 5, 6, 2)),
    "efficientnet_b4": (48, (24, 32, 56, 112, 160, 272, 448), 1792, (2, 4, 4, 6, 6, 8, 2)),
}
KERNELS, STRIDES = (3, 3, 5, 3, 5, 5, 3), (1, 2, 2, 2, 1, 2, 1)


def in_torchvision(s, b):
    """Convolution and norm that widen, filter and narrow, and the two layers of the gate; nothing widens in stage 0."""
    block = f"features.{s + 1}.{b}.block"
    widen, depthwise, gate, narrow = (-1, 0, 1, 2) if s == 0 else (0, 1, 2, 3)
    pairs = [(f"{block}.{i}.0", f"{block}.{i}.1") for i in (widen, depthwise, narrow)]
    return *pairs, (f"{block}.{gate}.fc1", f"{block}.{gate}.fc2")


def in_timm(s, b):
    block = f"blocks.{s}.{b}"
    convs = [("none", "none"), ("conv_dw", "bn1"), ("conv_pw", "bn2")]
    if s > 0:
        convs = [("conv_pw", "bn1"), ("conv_dw", "bn2"), ("conv_pwl", "bn3")]
    pairs = [(f"{block}.{conv}", f"{block}.{norm}") for conv, norm in convs]
    return *pairs, (f"{block}.se.conv_reduce", f"{block}.se.conv_expand")


# library: our map, names of a block, convolution and norm of stem and head, classifier
LIBRARIES = {
    "torchvision": (
        torchvision_efficientnet, in_torchvision,
        ("features.0.0", "features.0.1"), ("features.8.0", "features.8.1"), "classifier.1",
    ),
    "timm": (timm_efficientnet, in_timm, ("conv_stem", "bn1"), ("conv_head", "bn2"), "classifier"),
}  # fmt: skip


def published_shapes(library, variant):
    """The keys and shapes of the library's `state_dict`."""
    _, names, stem, head, classifier = LIBRARIES[library]
    c_in, widths, c_last, depths = PUBLISHED[variant]
    shapes = {f"{classifier}.weight": (1000, c_last), f"{classifier}.bias": (1000,)}

    def conv_norm(pair, *shape):
        conv, norm = pair
        shapes[f"{conv}.weight"] = shape
        for tensor in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{norm}.{tensor}"] = shape[:1]
        shapes[f"{norm}.num_batches_tracked"] = ()

    conv_norm(stem, c_in, 3, 3, 3)
    for s, (c_out, depth, k) in enumerate(zip(widths, depths, KERNELS, strict=True)):
        for b in range(depth):
            wide, squeezed = c_in * (1 if s == 0 else 6), c_in // 4
            widen, depthwise, narrow, (reduce, expand) = names(s, b)
            if s > 0:
                conv_norm(widen, wide, c_in, 1, 1)
            conv_norm(depthwise, wide, 1, k, k)
            shapes[f"{reduce}.weight"], shapes[f"{reduce}.bias"] = (squeezed, wide, 1, 1), (squeezed,)
            shapes[f"{expand}.weight"], shapes[f"{expand}.bias"] = (wide, squeezed, 1, 1), (wide,)
            conv_norm(narrow, c_out, wide, 1, 1)
            c_in = c_out
    conv_norm(head, c_last, c_in, 1, 1)
    return shapes


def published(library, variant, device="meta"):
    """Random tensors under the library's names."""
    generator, tensors = torch.Generator().manual_seed(0), {}
    for key, shape in published_shapes(library, variant).items():
        if device == "meta":
            tensors[key] = torch.empty(shape, device=device)
            continue
        values = torch.randn(shape, generator=generator, dtype=torch.float64)
        # Signals neither fade nor grow on their way through so many layers.
        scale = 0.1 if key.endswith(("bias", "mean")) else 1.1 * torch.Size(shape[1:]).numel() ** -0.5
        tensors[key] = values.abs() + 0.1 if key.endswith("running_var") else scale * values
    return tensors


def ours(variant):
    with torch.device("meta"):
        return efficientnet(variant).state_dict()


@pytest.mark.parametrize("library", LIBRARIES)
@pytest.mark.parametrize("variant", PUBLISHED)
def test_every_tensor_lands(library, variant):
    foreign = published(library, variant)
    found = translate(LIBRARIES[library][0](variant), foreign, ours(variant))
    assert len(found) == len(foreign)


@pytest.mark.parametrize(
    ("library", "key"),
    [("torchvision", "features.6.3.block.2.fc2.weight"), ("timm", "blocks.5.3.se.conv_expand.weight")],
)
def test_what_does_not_fit_is_named(library, key):
    foreign, expected = published(library, "efficientnet_b0"), ours("efficientnet_b0")
    key_map = LIBRARIES[library][0]("efficientnet_b0")
    with pytest.raises(CheckpointError, match=f"1 of its tensors are missing: {key}"):
        translate(key_map, {k: v for k, v in foreign.items() if k != key}, expected)
    with pytest.raises(CheckpointError, match=r"1 of its tensors are unexpected: odd\.weight"):
        translate(key_map, foreign | {"odd.weight": torch.zeros(1)}, expected)
    with pytest.raises(CheckpointError, match=f"of another shape: {key} 7x48x1x1, where 1152x48x1x1 is expected"):
        translate(key_map, foreign | {key: torch.zeros(7, 48, 1, 1)}, expected)


@pytest.mark.parametrize("library", LIBRARIES)
def test_the_logits_are_those_of_the_published_tensors(library):
    key_map, names, stem, head, classifier = LIBRARIES[library]
    t = published(library, "efficientnet_b0", device="cpu")

    def conv_norm(maps, pair, **options):
        conv, norm = pair
        kernel = t[f"{conv}.weight"]
        maps = F.conv2d(maps, kernel, padding=kernel.shape[-1] // 2, **options)
        statistics = t[f"{norm}.running_mean"], t[f"{norm}.running_var"]
        return F.batch_norm(maps, *statistics, t[f"{norm}.weight"], t[f"{norm}.bias"])

    def dense(means, name):
        return F.conv2d(means, t[f"{name}.weight"], t[f"{name}.bias"])

    images = torch.randn(2, 3, 70, 61, dtype=torch.float64)
    maps = F.silu(conv_norm(images, stem, stride=2))
    for s, (depth, stride) in enumerate(zip(PUBLISHED["efficientnet_b0"][3], STRIDES, strict=True)):
        for b in range(depth):
            widen, depthwise, narrow, (reduce, expand) = names(s, b)
            wide = F.silu(conv_norm(maps, widen)) if s > 0 else maps
            wide = F.silu(conv_norm(wide, depthwise, stride=stride if b == 0 else 1, groups=wide.shape[1]))
            squeezed = F.silu(dense(wide.mean((2, 3), keepdim=True), reduce))
            thin = conv_norm(wide * dense(squeezed, expand).sigmoid(), narrow)
            maps = maps + thin if b > 0 else thin
    means = F.silu(conv_norm(maps, head)).mean((2, 3))
    logits = F.linear(means, t[f"{classifier}.weight"], t[f"{classifier}.bias"])
    assert (logits[0] - logits[1]).std() > 0.01 * logits.std()  # the images count, not only biases

    model = efficientnet("efficientnet_b0").double().eval()
    model.load_state_dict(translate(key_map("efficientnet_b0"), t, model.state_dict()))
    torch.testing.assert_close(model(images), logits, rtol=1e-6, atol=1e-9)
