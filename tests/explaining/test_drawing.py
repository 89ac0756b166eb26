"""Maps over samples: what is drawn, on which scale, and when nothing is."""

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from neocog.explaining.attribution import Attribution
from neocog.explaining.drawing import Panel, draw_heat, floor, heat_of, kernel_image, reach_of, reference
from neocog.explaining.explainer import Explainer, Sample
from neocog.modalities.draw_map import BLUE, OPAQUE, RED, Heat, heat_colours
from neocog.tasks.target import Target
from tests.support.small_models import MODELS

NET = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.Flatten(), nn.Linear(32, 2))


@pytest.fixture(scope="module")
def explainer():
    return Explainer(NET, (1, 4, 4))


def attribution(values, *, logit=2.0, signed=True, target=None, **figures):
    maps = torch.as_tensor(values, dtype=torch.float32)
    target = target or Target("cat", 0)
    return Attribution(
        method="integrated", target=target, logit=logit, values=maps, map=maps, signed=signed, figures=figures
    )


def drawn(heat, explainer, sample=None):
    """The pixels within the axes, without the bar and the title."""
    sample = sample or Sample("a", torch.zeros(1, 1, 4, 4), torch.linspace(0, 1, 16).view(1, 4, 4))
    figure = draw_heat(sample, explainer, heat)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=100)
    box = figure.axes[0].get_window_extent()
    pixels = np.asarray(Image.open(buffer).convert("RGB")).astype(int)
    height = len(pixels)
    return pixels[height - int(box.y1) + 3 : height - int(box.y0) - 3, int(box.x0) + 3 : int(box.x1) - 3], figure


def test_map_of_a_millionth_looks_empty(explainer):
    """However it is spread: the sample is drawn as if there were no map."""
    small = heat_of(attribution(1e-6 * torch.randn(4, 4)), (4, 4))
    nothing = heat_of(attribution(torch.zeros(4, 4)), (4, 4))
    assert small.empty and nothing.empty
    (a, figure), (b, _) = drawn(small, explainer), drawn(nothing, explainer)
    np.testing.assert_array_equal(a, b)
    assert a[..., 0].tolist() == a[..., 2].tolist()  # grey: no colour at all
    assert figure.axes[0].texts[0].get_text() == "below 0.0002 everywhere: drawn empty"


def test_map_that_matters_is_drawn_on_a_stated_scale(explainer):
    values = torch.zeros(4, 4)
    values[0, 0], values[3, 3] = 0.5, -0.25
    heat = heat_of(attribution(values), (4, 4))
    assert (heat.empty, heat.reach) == (False, 0.5)
    pixels, figure = drawn(heat, explainer)
    size = len(pixels) // 8
    first, last = pixels[size // 2, size // 2], pixels[-size // 2, -size // 2]
    assert first[0] > first[2] + 100 and last[2] > last[0]  # red for the target, blue against it
    labels = [text.get_text() for text in figure.axes[1].get_xticklabels()]
    assert labels == ["-0.5", "0", "0.5"]


def test_strongest_colour_is_that_of_the_reach():
    heat = Heat(values=np.array([[2.0, -4.0]]), reach=2.0, signed=True)
    found = heat_colours(heat.shares)
    np.testing.assert_allclose(found[0, 0], [*RED, OPAQUE])
    np.testing.assert_allclose(found[0, 1], [*BLUE, OPAQUE])


def test_reference_is_what_the_method_explains():
    assert reference(attribution([[1.0]], logit=-3.0)) == 3.0
    assert reference(attribution([[1.0]], logit=3.0, baseline=-2.0)) == 5.0
    assert reference(attribution([[1.0]], logit=0.1)) == 1.0
    assert floor(attribution([[1.0]], logit=3.0)) == pytest.approx(3e-4)
    assert floor(attribution(torch.zeros(400, 400))) == pytest.approx(2 / 160_000)  # one even share


def test_colours_end_where_all_but_a_few_places_do():
    values = np.linspace(0, 1, 10_000)
    values[-3:] = 5
    assert reach_of(values) == pytest.approx(0.995, abs=1e-3)
    values[-3:] = 500  # far above: its place is what the map says
    assert reach_of(values) == 500
    assert reach_of(np.array([0.2, -0.7])) == 0.7


def test_bar_shows_that_it_ends_before_the_map(explainer):
    values = torch.rand(4, 4) * 0
    values[0, 0] = 1
    assert draw_heat_extend(values, 0.5, explainer) == "max"
    assert draw_heat_extend(values - values * 2, 0.5, explainer) == "min"
    assert draw_heat_extend(values, 1.0, explainer) == "neither"


def draw_heat_extend(values, reach, explainer):
    from neocog.explaining.drawing import extend_of

    return extend_of(Heat(values=values.numpy(), reach=reach, signed=True))


def test_target_is_marked_by_outline_place_or_box(explainer):
    where = torch.zeros(4, 4, dtype=torch.bool)
    where[1:3, 1:3] = True
    targets = {
        "outline": Target("cat", 0, where=where),
        "place": Target("cat", 0, place=(1, 2)),
        "box": Target("cat", 0, place=(0, 0), box=(1.0, 0.0, 3.0, 2.0)),
    }
    found = {}
    for name, target in targets.items():
        _, figure = drawn(heat_of(attribution(torch.ones(4, 4), target=target), (4, 4)), explainer)
        found[name] = figure.axes[0]
    assert len(found["outline"].collections) == 1 and not found["outline"].lines
    (line,) = found["place"].lines
    assert (line.get_xdata()[0], line.get_ydata()[0]) == (2, 1)
    (patch,) = found["box"].patches
    assert (patch.get_xy(), patch.get_width(), patch.get_height()) == ((0.5, -0.5), 2.0, 2.0)
    everywhere = heat_of(attribution(torch.ones(4, 4), target=Target("cat", 0, where=torch.ones(4, 4) > 0)), (4, 4))
    assert not drawn(everywhere, explainer)[1].axes[0].collections


def panel_of(case, values=None, **options):
    predictor, one = MODELS[case]()
    explainer = Explainer.of(predictor)
    sample = explainer.sample(one)
    shape = explainer.input_shape[1:] or explainer.input_shape
    heat = Heat(values=np.ones(shape) if values is None else values, reach=1.0, signed=True, **options)
    return Panel("p", "title", "what it shows", heat, sample, explainer)


def test_sound_has_time_and_the_frequencies_of_its_bands():
    panel = panel_of("sound")
    axes = panel.figure().axes[0]
    spec = panel.explainer.preprocess
    mel = [2595 * np.log10(1 + hertz / 700) for hertz in (spec.f_min, spec.highest)]
    step = (mel[1] - mel[0]) / (spec.num_mels + 1)
    lowest = 700 * (10 ** ((mel[0] + step) / 2595) - 1)
    assert axes.get_yticklabels()[0].get_text() == f"{lowest:,.0f}"
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("seconds", "hertz")
    assert axes.images[0].get_extent()[1] == pytest.approx(spec.shape[1] * spec.hop / spec.sample_rate)


def test_words_are_coloured_and_unknown_ones_are_grey():
    panel = panel_of("words")
    panel.heat.values[:] = 0
    panel.heat.values[1] = 1
    spec = panel.explainer.preprocess
    words = panel.words
    assert [share for _, _, share in words[:3]] == [0, 1, 0]
    assert " ".join(token for token, _, _ in words) == panel.sample.payload
    texts = panel.figure().axes[0].texts
    assert [text.get_text() for text in texts] == [token for token, _, _ in words]
    assert texts[1].get_bbox_patch().get_facecolor() == pytest.approx((*RED, OPAQUE))
    from neocog.modalities.text.draw import read_tokens

    assert read_tokens("zzz " + words[0][0], spec)[0] == ("zzz", False)


def test_characters_fill_lines():
    panel = panel_of("characters", np.linspace(-1, 1, 130))
    texts = panel.figure().axes[0].texts
    assert "".join(text.get_text() for text in texts) == panel.sample.payload.lower()
    assert len({text.get_position() for text in texts}) == len(texts)


def test_board_has_stones_letters_and_the_move_of_the_target():
    panel = panel_of("go", np.zeros((9, 9)), name="D4")
    axes = panel.figure().axes[0]
    centres = [patch.center for patch in axes.patches if hasattr(patch, "center")]
    assert centres.count((4, 4)) == 2 and centres.count((2, 2)) == 2  # a stone, and the colour of its point
    assert centres[-1] == (3, 5)  # D4: the fourth column, the fourth row from below
    assert [label.get_text() for label in axes.get_xticklabels()] == list("ABCDEFGHJ")


def test_signal_has_a_lane_for_each_channel():
    panel = panel_of("signal classification")
    axes = panel.figure().axes[0]
    assert len(axes.lines) == 1 and axes.get_xlabel() == "sample"
    assert axes.images[0].get_extent()[:2] == [-0.5, panel.heat.values.size - 0.5]


def test_kernel_is_drawn_in_red_and_blue():
    import base64

    address = kernel_image(torch.tensor([[1.0, 0.0], [0.0, -1.0]]), 1.0)
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2]))))
    assert pixels[0, 0, 0] > pixels[0, 0, 2] and pixels[-1, -1, 2] > pixels[-1, -1, 0]
    assert pixels[0, -1].tolist() == [255, 255, 255]


def test_svg_takes_the_colour_of_the_text_and_tells_what_it_shows():
    text = panel_of("image classification").svg()
    assert text.startswith('<svg role="img" aria-label="what it shows"')
    assert "currentColor" in text and "#39424d" not in text


def test_twin_is_drawn_however_small_it_is(explainer):
    """The outputs of a random network have no scale of their own; the bar says how small they are."""
    values = torch.zeros(4, 4)
    values[1, 2] = 1e-9
    heat = heat_of(attribution(values), (4, 4), twin=True)
    assert (heat.empty, heat.reach) == (False, pytest.approx(1e-9))
    _, figure = drawn(heat, explainer)
    assert "1e-09" in [text.get_text() for text in figure.axes[1].get_xticklabels()]
    nothing = heat_of(attribution(torch.zeros(4, 4)), (4, 4), twin=True)
    assert drawn(nothing, explainer)[1].axes[0].texts[0].get_text() == "zero everywhere"
