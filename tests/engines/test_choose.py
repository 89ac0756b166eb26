"""The choice of an engine: the fastest within its tolerance, remembered, and whatever is foreign in memory ignored."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from neocog.bundle import Predictor, load, torch_backend
from neocog.bundle.use_engine import has_choice, use_engine
from neocog.data import ImagePreprocess
from neocog.engines import choose
from neocog.engines.choose import choose_engine, disagreement, remembered_choice, tolerance_reason
from neocog.engines.kept import Workshop, largest_error
from neocog.engines.measure import Timing, best_cases, time_in_turns
from neocog.engines.store import Store, digest_of, pack, unpack
from neocog.errors import ConfigError
from neocog.tasks import TASKS
from tests.support.untrained import write_untrained

PRE = ImagePreprocess(size=(8, 8), channels=1, mean=(0.5,), std=(0.25,))
TASK = TASKS["classification"](("a", "b", "c"))
FAST = ("eager", "compiled")


def make_network(seed=0):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 3)).eval()


@pytest.fixture
def decoded():
    return torch.randint(0, 256, (12, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(3))


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def speeds(monkeypatch):
    """Speeds that the test sets, in the place of measured ones."""
    wanted = {}

    def timed(calls, seconds, *, label=""):
        return {case: Timing(case[1], [case[1] / (wanted[case[0]] * (1 + 0.1 * (case[1] > 1)))] * 3) for case in calls}

    monkeypatch.setattr(choose, "time_in_turns", timed)
    return wanted


def choose_of(workshop, decoded, **options):
    return choose_engine(workshop, TASK, decoded, **{"names": FAST, "batches": (1, 4), **options})


def test_fastest_engine_is_taken_and_remembered(decoded, speeds):
    for fastest in FAST:
        speeds.update(dict.fromkeys(FAST, 100.0) | {fastest: 200.0})
        workshop = Workshop(make_network(), PRE, threads=1)
        found = choose_of(workshop, decoded)
        assert (found.name, found.batch) == (fastest, 4)
        assert remembered_choice(Workshop(make_network(), PRE, threads=1)).name == fastest


def test_choice_is_of_one_network_shape_and_number_of_threads(decoded, speeds):
    speeds.update(eager=1.0, compiled=2.0)
    choose_of(Workshop(make_network(), PRE, threads=1), decoded)
    other = ImagePreprocess(size=(8, 8), channels=1, mean=(0.4,), std=(0.25,))
    assert remembered_choice(Workshop(make_network(1), PRE, threads=1)) is None
    assert remembered_choice(Workshop(make_network(), PRE, threads=3)) is None
    assert remembered_choice(Workshop(make_network(), other, threads=1)) is None


def test_engine_beyond_tolerance_is_not_taken(decoded, speeds):
    speeds.update(eager=1.0, compiled=9.0)
    found = choose_of(Workshop(make_network(), PRE, threads=1), decoded, judge=lambda *_: 0.06)
    assert found.name == "eager"
    assert "loses 0.06 points, more than 0.05" in found.trials[1].reason
    found = choose_of(Workshop(make_network(), PRE, threads=1), decoded, judge=lambda b, _: 0.04)
    assert found.name == "compiled"


def test_wrong_logits_are_not_taken(decoded, speeds, monkeypatch):
    speeds.update(eager=1.0, compiled=9.0)
    build = Workshop.build

    def broken(self, name, calibration=None):
        right = build(self, name, calibration)
        return right if name == "eager" else lambda inputs: right(inputs) + 0.01

    monkeypatch.setattr(Workshop, "build", broken)
    found = choose_of(Workshop(make_network(), PRE, threads=1), decoded)
    assert found.name == "eager"
    assert "of their spread, more than 0.001" in found.trials[1].reason


def test_engine_that_can_not_run_is_listed_with_the_reason(decoded, speeds):
    class Decides(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.dense = nn.Linear(64, 3)

        def forward(self, images):
            return self.dense(images.flatten(1) if images.sum() > 0 else -images.flatten(1))

    speeds.update(eager=1.0)
    found = choose_of(Workshop(Decides().eval(), PRE, threads=1), decoded, names=("eager", "compiled"))
    assert found.name == "eager"
    assert found.trials[1].reason


@pytest.mark.parametrize(
    "content", [b"", b"junk", b"{}", json.dumps({"name": "tensorrt", "batch": 4}).encode(), b'{"name": "eager"}']
)
def test_foreign_choice_is_ignored(content):
    workshop = Workshop(make_network(), PRE, threads=1)
    workshop.store.write("choice", workshop.about, content)
    assert remembered_choice(workshop) is None


def test_damaged_file_is_ignored():
    store, about = Store("a" * 64), {"x": 1}
    assert store.write("choice", about, b"content")
    assert store.read("choice", about) == b"content"
    path = store.path("choice", about)
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        assert store.read("choice", about) is None
    path.write_bytes(whole[:-1])
    assert store.read("choice", about) is None
    assert store.read("choice", {"x": 2}) is None


def test_cache_that_can_not_be_written_costs_nothing_else(tmp_path, monkeypatch, decoded, speeds):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("NEOCOG_CACHE", str(tmp_path / "file"))
    speeds.update(eager=1.0, compiled=2.0)
    assert choose_of(Workshop(make_network(), PRE, threads=1), decoded).name == "compiled"
    assert not Store("b" * 64).write("choice", {}, b"")


def test_digest_changes_with_each_tensor_and_setting():
    model = make_network()
    before = digest_of(model, PRE)
    assert digest_of(make_network(), PRE) == before
    model[4].bias.data[1] += 1e-6
    assert digest_of(model, PRE) != before


def test_quantised_graph_is_remembered_and_read_again(decoded):
    model = make_network()
    first = Workshop(model, PRE, threads=1).build("openvino-int8", decoded)
    again = Workshop(model, PRE, threads=1)
    assert again.has_quantised("openvino-int8")
    assert not again.has_quantised("onnxruntime-int8")
    torch.testing.assert_close(again.build("openvino-int8")(decoded), first(decoded))
    with pytest.raises(ConfigError, match="An int8 engine is made from a sample"):
        Workshop(make_network(5), PRE, threads=1).build("openvino-int8")


def test_pack_keeps_empty_parts():
    assert unpack(pack([b"", b"x" * 9, b""])) == [b"", b"x" * 9, b""]


def test_disagreement_counts_changed_decisions():
    expected = torch.tensor([[2.0, 1.0, 0.0], [0.0, 1.0, 2.0], [0.0, 3.0, 1.0], [1.0, 0.0, 0.0]])
    found = expected.clone()
    found[1, 1] = 5.0
    assert disagreement(TASK, found, expected) == 25.0
    assert disagreement(TASKS["regression"](("v",)), found[:, :1], expected[:, :1]) is None
    assert disagreement(TASKS["multi-label"](("a", "b", "c")), found, expected) == pytest.approx(0.0)


def test_largest_error_is_a_share_of_the_spread():
    expected = torch.tensor([[0.0], [2.0]])
    assert largest_error(expected + 0.1, expected) == pytest.approx(0.1 / np.std([0, 2], ddof=1), rel=1e-5)
    assert largest_error(expected[:1], expected) == float("inf")
    assert largest_error(expected * float("nan"), expected) == float("inf")


def test_largest_error_may_leave_out_a_share_of_the_logits():
    expected = torch.arange(4000.0)
    found = expected + torch.cat([torch.full((5,), 1000.0), torch.full((3995,), 1.0)])
    assert largest_error(found, expected, 1e-3) > 0.5  # four of them don't count
    found[0] = 1.0
    assert largest_error(found, expected, 1e-3) == pytest.approx(1 / float(expected.std()))
    assert largest_error(found[:100], expected[:100], 1e-3) > 0.5  # of a hundred, each counts


def test_int8_without_a_metric_or_decisions_is_not_taken():
    trial = choose.Trial(name="openvino-int8", error=0.2, lost=None)
    assert tolerance_reason(trial, 50) == "int8 is taken by a metric; give data with --data"
    assert tolerance_reason(choose.Trial(name="openvino-int8", error=0.2, lost=0.29), 50) == ""
    assert "more than 0.3" in tolerance_reason(choose.Trial(name="openvino-int8", error=0.2, lost=0.31), 50)
    one = choose.Trial(name="openvino-bf16", error=0.1, lost=0.5)
    assert tolerance_reason(one, 200) == ""
    assert tolerance_reason(one, 201) == "loses 0.50 points, more than 0.5"
    assert "more than 0.05" in tolerance_reason(one, 99)


def test_cases_take_turns_and_the_smallest_of_the_fastest_batches_counts():
    order = []
    calls = {("a", 1): lambda: order.append("a"), ("b", 1): lambda: order.append("b")}
    found = time_in_turns(calls, 0.0)
    assert len(found["a", 1].seconds) >= 3
    assert order.index("b") < len(order) - 1 - order[::-1].index("a")
    timings = {("a", 1): Timing(1, [1.0]), ("a", 8): Timing(8, [4.0]), ("a", 16): Timing(16, [7.95])}
    assert best_cases(timings) == {"a": 8}
    assert Timing(1, [float(k) for k in range(101)]).latency(99) == 99.0


@pytest.fixture
def bundle(tmp_path):
    from neocog.data import open_source

    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (12, 28, 28), np.uint8), np.arange(12) % 3
    source = open_source((images, labels))
    write_untrained(tmp_path / "model.neocog", "lenet5_relu", source)
    return tmp_path / "model.neocog"


def test_load_takes_an_engine_by_name_and_auto_what_is_remembered(bundle, speeds, monkeypatch, capsys):
    images = [np.random.default_rng(k).integers(0, 256, (28, 28), np.uint8) for k in range(5)]
    eager = load(bundle)
    assert eager.backend_name == "eager"
    found = load(bundle, backend="compiled")
    assert found.backend_name == "compiled"
    np.testing.assert_allclose(found.predict_proba(images), eager.predict_proba(images), atol=1e-5)
    assert not has_choice(eager)
    monkeypatch.setattr(choose, "FLOAT_ENGINES", FAST)
    speeds.update(eager=1.0, compiled=2.0)
    assert load(bundle, backend="auto").backend_name == "compiled"
    assert "the fastest engine here is compiled, by 1 samples" in capsys.readouterr().err
    assert has_choice(eager)
    assert load(bundle, backend="auto").backend_name == "compiled"
    assert "measuring" not in capsys.readouterr().err
    with pytest.raises(ConfigError, match="No engine has this name"):
        load(bundle, backend="tensorrt")


def test_test_time_augmentation_and_engines_give_the_same(bundle):
    images = [np.random.default_rng(k).integers(0, 256, (28, 28), np.uint8) for k in range(3)]
    eager, found = load(bundle), load(bundle, backend="openvino")
    for tta in ("flip", "shift"):
        np.testing.assert_allclose(found.predict_proba(images, tta), eager.predict_proba(images, tta), atol=1e-5)


def test_predictor_without_a_network_has_no_engines():
    predictor = Predictor(torch_backend(make_network()), PRE, TASK)
    with pytest.raises(ConfigError, match=r"Engines are made from a network\. Received: a predictor without one"):
        use_engine(predictor, "openvino", torch.zeros(1, 1, 8, 8))
