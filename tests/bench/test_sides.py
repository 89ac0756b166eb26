"""What rows of the bench share: images, children, peers, and checks that sides compute the same."""

import json
import math

import numpy as np
import pytest
import torch

from harness.children import run_child
from harness.peers import import_peer
from harness.pictures import draw_jpeg, texture
from rows.loading import check_alike
from rows.scaling import Errors, forecasts, link_of


def test_texture_has_its_spectrum():
    power = np.abs(np.fft.rfft2(texture((256, 256), 1.5, 0))) ** 2
    frequency = np.hypot(np.fft.fftfreq(256)[:, None], np.fft.rfftfreq(256))
    near = power[(frequency > 0.05) & (frequency < 0.06)].mean() / power[(frequency > 0.1) & (frequency < 0.12)].mean()
    assert near == pytest.approx(2**3, rel=0.2)  # amplitudes fall as frequency**-1.5


def test_finer_textures_need_more_bits():
    smooth, fine = (len(draw_jpeg((64, 64), power)) for power in (1.8, 1.2))
    assert fine > 1.2 * smooth


def test_child_returns_its_json(tmp_path):
    (tmp_path / "child.py").write_text("import json, sys\nprint('first')\nprint(json.dumps(sys.argv[1:]))\n")
    assert run_child(tmp_path / "child.py", "a", 1) == ["a", "1"]


def test_child_that_fails_gives_its_last_line(tmp_path):
    (tmp_path / "child.py").write_text("raise ValueError('too short')\n")
    with pytest.raises(RuntimeError, match="ValueError: too short"):
        run_child(tmp_path / "child.py")


def test_missing_peer_says_so(tmp_path, monkeypatch):
    assert import_peer("no_such_library") == (None, "not installed")
    (tmp_path / "broken_peer.py").write_text("raise RuntimeError('operator does not exist')\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert import_peer("broken_peer") == (None, "cannot be imported: RuntimeError: operator does not exist")
    assert import_peer("json")[0] is json


def test_sides_that_shift_images_otherwise_are_found():
    images, labels = torch.randn(40, 1, 4, 4) + torch.arange(4.0), torch.arange(40) % 3
    assert "0.000" in check_alike({"a": [(images, labels)], "b": [(images.flip(0), labels.flip(0))]})
    with pytest.raises(AssertionError):
        check_alike({"a": [(images, labels)], "b": [(images.roll(1, 3), labels)]})
    with pytest.raises(AssertionError):
        check_alike({"a": [(images, labels)], "b": [(images, labels * 0)]})


def test_link_explains_the_all_reduces_that_it_comes_from():
    link = link_of(small=1e-4, large=9e-3, ranks=2)
    assert 4 * 2**20 / link.bandwidth + 2 * link.latency == pytest.approx(9e-3)
    assert 4 * 4 / link.bandwidth + 2 * link.latency == pytest.approx(1e-4)


def test_forecasts_have_errors_of_one_measurement_in_each_round():
    told = []

    def tell(name):
        told.append(name)
        return [0.02, 0.02, 1e-4, 9e-3, 0.04]

    errors = Errors(tell, 2)
    found = {name: errors.next(name) for name in reversed(forecasts(2, errors.gradient_bytes, tell(""))[0])}
    assert told == ["", "measure"]
    assert found["linear scaling"] == pytest.approx(50)
    assert found["all messages after the computation"] < found["Neocog"] < 50
    errors.next("Neocog")
    assert told == ["", "measure", "measure"]
    assert all(map(math.isfinite, found.values()))
