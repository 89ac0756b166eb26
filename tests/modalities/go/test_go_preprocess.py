import numpy as np
import pytest
import torch

from neocog.errors import DataError
from neocog.modalities.go.features import FEATURES
from neocog.modalities.go.game import replay
from neocog.modalities.go.preprocess import BoardPreprocess, choose_board
from neocog.modalities.go.source import SgfSource
from neocog.zoo import create_model

GAME = b"(;SZ[9];B[ee];W[gc];B[cg];W[cc];B[eg])"


@pytest.fixture
def games(tmp_path):
    (tmp_path / "a.sgf").write_bytes(GAME)
    return SgfSource(tmp_path)


@pytest.mark.parametrize(("features", "num_planes"), [("zero17", 17), ("alphago48", 48)])
def test_position_becomes_its_planes(games, features, num_planes):
    pre = BoardPreprocess(features=features, size=9)
    assert (pre.modality, pre.shape, pre.in_channels, pre.dtype) == (
        "board",
        (num_planes, 9, 9),
        num_planes,
        torch.uint8,
    )
    record = games.read(3)
    planes = pre.decode(record.payload, record.key)
    assert planes.dtype == torch.uint8 and planes.shape == pre.shape
    assert np.array_equal(planes.numpy(), FEATURES[features].compute(replay(record.payload, "g")))
    inputs = pre(record.payload)
    assert inputs.dtype == torch.float32 and torch.equal(inputs, planes.float())


def test_record_is_its_last_position(games):
    pre = BoardPreprocess(features="alphago48", size=9)
    before_last = pre.decode(games.read(4).payload)
    assert torch.equal(pre.decode(GAME.replace(b";B[eg]", b"")), before_last)
    assert torch.equal(pre.decode(GAME.replace(b";B[eg]", b"").decode()), before_last)


def test_it_survives_json():
    pre = BoardPreprocess(features="zero17", size=13)
    spec = pre.to_json()
    assert spec == {"modality": "board", "features": "zero17", "size": 13, "version": 1}
    assert BoardPreprocess.from_json(spec) == pre
    with pytest.raises(DataError, match="Update Neocog"):
        BoardPreprocess.from_json(spec | {"version": 2})


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"(;SZ[13];B[aa])", "takes boards of 9 x 9 points. mine.sgf: received 13 x 13 points"),
        (b"(;SZ[9];B[aa];W[aa])", "mine.sgf: received move 2, White A9: there is a stone already"),
        ("no game", "mine.sgf: received none"),
        ("\udc80", "mine.sgf: received none"),
        (np.zeros((9, 9), np.uint8), "row of 16-bit integers.*mine.sgf: received uint8"),
    ],
)
def test_invalid_position_is_refused_by_name(payload, message):
    with pytest.raises(DataError, match=message):
        BoardPreprocess(features="zero17", size=9).decode(payload, "mine.sgf")


@pytest.mark.parametrize(
    ("network", "features", "num_classes"), [("go_policy", "alphago48", 81), ("go_residual", "zero17", 82)]
)
def test_networks_planes_choose_the_features(games, network, features, num_classes):
    num_planes = FEATURES[features].num_planes
    pre, reasons = choose_board(games, games.splits["all"], None, (num_planes, 19, 19))
    assert pre == BoardPreprocess(features=features, size=9)
    assert reasons == {"features": f"the network takes {num_planes} planes"}
    model = create_model(network, in_channels=pre.in_channels, num_classes=num_classes).eval()
    assert model(pre(games.read(0).payload)[None]).shape == (1, num_classes)


def test_network_for_something_else_is_named(games):
    with pytest.raises(
        DataError, match=r"must take 17 \(zero17\) or 48 \(alphago48\) planes. .*: received a network for 3 planes"
    ):
        choose_board(games, games.splits["all"], None, (3, 32, 32))
