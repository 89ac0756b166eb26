"""`neocog.explain`: what is asked for, where it is, and what is written."""

import io
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

import neocog
from neocog.errors import ConfigError, NeocogError
from neocog.explaining.explain import layer_rows, open_explainer
from neocog.explaining.explainer import Explainer
from neocog.explaining.explanation import read_similarity
from neocog.explaining.locate import find_view, written_place
from tests.support.small_models import MODELS, spot_boxes, spot_masks


def small_net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, padding=1), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(),
        nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(6, 2),
    ).eval()  # fmt: skip


IMAGE = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def plain():
    return neocog.explain(small_net(), IMAGE, target="dog", classes=("cat", "dog"))


def test_plain_network_is_explained_by_three_methods_with_twins(plain):
    assert [one.method for one in plain.attributions] == ["gradcam", "integrated", "occlusion"]
    assert list(plain.twins) == ["gradcam", "integrated", "occlusion"]
    assert plain.target.text == "dog"
    with torch.no_grad():
        assert plain.logit == pytest.approx(float(small_net()(IMAGE)[0, 1]), abs=1e-5)
    assert plain.numbers["methods"][1]["completeness_error"] <= 1e-3
    assert plain.notes == ()


def test_arrays_hold_the_maps_and_the_twins(plain):
    with np.load(io.BytesIO(plain.npz())) as arrays:
        assert arrays["gradcam"].shape == arrays["gradcam.twin"].shape == (16, 16)
        assert arrays["integrated.values"].shape == (1, 16, 16)
        np.testing.assert_array_equal(arrays["input"], IMAGE[0].numpy())
        low = plain.attributions[1].figures["baseline"]
        assert arrays["integrated"].sum() == pytest.approx(plain.logit - low, rel=2e-3)
        assert json.loads(str(arrays["numbers"]))["target"] == "dog"


def test_files_are_named_after_the_input(plain, tmp_path):
    files = plain.save(tmp_path / "new" / "folder")
    names = sorted(path.name for path in files)
    assert names == sorted(path.name for path in (tmp_path / "new" / "folder").iterdir())
    assert {"input.html", "input.npz", "input-gradcam.png", "input-gradcam-alone.png"} <= set(names)
    assert "input-occlusion-twin.png" in names
    assert all((tmp_path / "new" / "folder" / name).read_bytes()[:4] == b"\x89PNG" for name in names if "png" in name)


def test_name_of_an_input_becomes_a_name_of_files():
    found = neocog.explain(small_net(), IMAGE, methods="gradient", twin=False, name="a/b: <c>?.png")
    assert found.stem == "b-c"


def test_notebook_shows_the_page_in_a_frame(plain):
    shown = plain._repr_html_()
    assert shown.startswith("<iframe title=") and "&lt;!doctype html&gt;" in shown


def test_network_without_maps_is_explained_without_class_activation_maps():
    net = nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.ReLU(), nn.Linear(8, 2))
    found = neocog.explain(net, IMAGE, twin=False)
    assert [one.method for one in found.attributions] == ["integrated", "occlusion"]
    assert found.notes[0].startswith("Left out: Grad-CAM. ")


@pytest.mark.parametrize(
    ("similarity", "level"),
    [(1.0, "bad"), (0.5, "bad"), (-0.7, "good"), (0.49, "partly"), (0.2, "good"), (0.0, "good")],
)
def test_similarity_is_read_by_two_lines(similarity, level):
    assert read_similarity(similarity).level == level


def test_channel_is_shown_with_its_kernel_and_its_map():
    net = small_net()
    found = neocog.explain(net, IMAGE, methods="gradcam", layer="3", channel=2, twin=False)
    assert torch.equal(found.channel.kernel, net[3].weight[2])
    with torch.no_grad():
        maps = net[:4](IMAGE)[0]
    assert found.channel.scale == pytest.approx(float(maps[2].abs().max()), rel=1e-4)
    assert found.channel.layer_scale == pytest.approx(float(maps.abs().max()), rel=1e-4)
    assert found.channel.map.shape == (16, 16)
    assert found.numbers["channel"]["layer"] == "3" and "channel-2" in found.panels
    pooled = neocog.explain(net, IMAGE, methods="gradient", layer="2", channel=0, twin=False)
    assert pooled.channel.kernel is None


def test_layers_are_listed_with_shapes_and_fields():
    rows = layer_rows(open_explainer(small_net(), IMAGE))
    assert rows[0] == {
        "layer": "0", "operator": "conv2d", "shape": [4, 16, 16], "receptive_field": "3", "places": True,
    }  # fmt: skip
    assert rows[-1]["shape"] == [2] and not rows[-1]["places"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": "wolf"}, "A target is one of the 2 outputs, by name or by number. Received: 'wolf'."),
        ({"methods": "gradcamm"}, "Unknown method. Received: 'gradcamm'. Did you mean 'gradcam'?"),
        ({"layer": "8"}, "A layer is named as `neocog explain --layers` lists it. Received: '8'."),
        (
            {"methods": "gradient", "layer": "3"},
            "A layer must have an effect. Received: a layer for gradient. Add one of gradcam,",
        ),
        ({"channel": 3}, "A channel is one of a layer. Received: channel 3. Name the layer, too."),
        ({"layer": "3", "channel": 6}, "3 has the channels 0 to 5. Received: channel 6."),
        ({"layer": "7", "channel": 0}, "Only a layer whose outputs have places has maps to show. Received: 7, (2,)."),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ConfigError) as caught:
        neocog.explain(small_net(), IMAGE, classes=("cat", "dog"), **options)
    assert message in str(caught.value)


@pytest.mark.parametrize(("one", "received"), [(IMAGE[0, 0, 0], "a tensor (16,)"), (np.zeros((16, 16)), "ndarray")])
def test_network_needs_a_normalised_input(one, received):
    with pytest.raises(ConfigError) as caught:
        neocog.explain(small_net(), one)
    assert str(caught.value) == (
        "A network that is not a bundle takes one normalised input, a tensor (1, *shape). "
        f"Received: {received}. Add the batch axis with images[:1], or explain a bundle, which reads files."
    )


def test_places_are_written_behind_an_at():
    assert written_place("a@b@3, 4", ["a@b"]) == (3, 4)
    assert written_place("a@3", ["a@3"]) is None and written_place("a@b", ["a"]) is None


SPOTS = ((70, 150), (20, 10), (25, 20), (72, 30))


def test_tile_that_holds_a_pixel_is_explained():
    predictor, image = spot_masks((90, 200), SPOTS)
    explainer = Explainer.of(predictor)
    sample, target = find_view(explainer, image, "spot@70,150")
    top, left = (int(start) for start in sample.view.origin)
    assert target.text == "spot at 70, 150" and target.place == (70 - top, 150 - left)
    assert all(4 <= step < 28 for step in target.place)  # the other tiles have it nearer to their edges
    blurred = (9 * 250 / 255) / 9
    assert float(target.of(explainer.outputs(sample.inputs))) == pytest.approx(8 * blurred - 2, rel=1e-4)


def test_tile_with_most_of_a_class_is_explained():
    predictor, image = spot_masks((90, 200), ((5, 5), (60, 100), (66, 110)))
    for spec in (None, "spot", "1"):
        sample, target = find_view(Explainer.of(predictor), image, spec)
        top, left = (int(start) for start in sample.view.origin)
        assert top <= 59 and left <= 99 and top + 32 >= 67 and left + 32 >= 111  # the two that are near each other
        assert target.text == "spot where it is predicted"


def test_tile_that_shows_an_object_is_explained():
    predictor, image = spot_boxes((90, 200), SPOTS)
    explainer = Explainer.of(predictor)
    prediction = predictor.predict([image])[0]
    for spec, text in (
        (None, "spot, object 0"),
        ("1", "spot, object 1"),
        ("2", "spot, object 2"),
        ("spot:3", "spot, object 3"),
    ):
        sample, target = find_view(explainer, image, spec)
        assert target.text == text
        top, left = sample.view.origin
        box = np.array(target.box) + np.array([left, top, left, top])
        rank = int(text[-1])
        np.testing.assert_allclose((box[:2] + box[2:]) / 2, prediction.boxes[rank].reshape(2, 2).mean(axis=0), atol=3)


@pytest.mark.parametrize(
    ("make", "spec", "message"),
    [
        (
            spot_masks,
            "spot@90,3",
            "A place is written @y,x, counted in pixels of the image, from 0 and below 90 x 200.",
        ),
        (spot_masks, "spot@3", "A place is written @y,x, counted in pixels of the image, from 0 and below 90 x 200."),
        (spot_masks, "sport", "A target is one of the 2 outputs, by name or by number. Received: 'sport'."),
        (spot_boxes, "9999", "A target is an object from 0, the surest, to "),
        (spot_boxes, "blob:0", "The classes are spot."),
    ],
)
def test_target_that_is_not_in_the_image_is_refused(make, spec, message):
    predictor, image = make((90, 200), SPOTS)
    with pytest.raises(NeocogError) as caught:
        find_view(Explainer.of(predictor), image, spec)
    assert message in str(caught.value)


def test_place_of_a_scaled_image_is_that_of_the_file():
    """An image that is brought to the network's size keeps its own pixels in the target."""
    from neocog.modalities.image.preprocess import ImagePreprocess

    predictor, _ = spot_masks((32, 32))
    predictor.preprocess = ImagePreprocess(size=(32, 32), channels=1, resize="squash")
    image = np.zeros((48, 96), np.uint8)
    sample, target = find_view(Explainer.of(predictor), image, "spot@1,95")
    assert target.place == (1, 31) and target.text == "spot at 1, 95"  # the middle of a pixel counts
    assert sample.view.scale == (2 / 3, 1 / 3)


def test_bundle_is_explained_by_its_path(tmp_path):
    from neocog.bundle import write_bundle

    predictor, one = MODELS["image classification"]()
    path = tmp_path / "model.neocog"
    about = {"model": {"name": "lenet5_relu", "num_classes": 2, "in_channels": 1, "options": {}}}
    write_bundle(path, predictor.model, predictor, [one], about)
    found = neocog.explain(path, one, methods="gradient", twin=False)
    assert found.prediction.class_name in ("one", "two")


def test_flat_twin_is_not_compared():
    """Then the last step before it counts, and without one the reading says so."""
    from neocog.explaining.twins import Twin

    found = neocog.explain(small_net(), IMAGE, methods="gradient", twin=2)
    (one,) = found.attributions
    flat = replace(one, map=torch.zeros_like(one.map))
    for curve, similarity, text in (
        ((0.7, 0.0), 0.7, "survives randomisation: do not trust this map"),
        ((0.0, 0.0), None, "no comparison: the map of the random network is the same everywhere"),
    ):
        changed = replace(found, twins={"gradient": Twin(("7", "0"), curve, flat, one)})
        assert changed.similarity("gradient") == similarity and changed.reading("gradient").text == text
        assert text[1:] in changed.to_html()


def test_padding_does_not_make_twins_alike():
    """Both maps are zero there, whatever the weights are."""
    from neocog.explaining.twins import rank_correlation

    a, b = torch.zeros(50), torch.zeros(50)
    a[:4], b[:4] = torch.tensor([1.0, 2.0, 3.0, 4.0]), torch.tensor([2.0, 4.0, 1.0, 3.0])
    assert rank_correlation(a, b) == pytest.approx(0.0, abs=1e-9)
    assert rank_correlation(a + 1e-7 * torch.rand(50), b) == pytest.approx(0.0, abs=1e-9)


def test_dead_channel_is_drawn_empty():
    net = small_net()
    with torch.no_grad():
        net[3].weight[1], net[3].bias[1] = 0, 1e-9
    found = neocog.explain(net, IMAGE, methods="gradcam", layer="3", channel=1, twin=False)
    assert found.panels["channel-1"].heat.empty and not found.panels["gradcam"].heat.empty
