import pytest
import torch
import torch.nn.functional as F

import neocog
from neocog.errors import GeometryError
from neocog.zoo.networks.char_cnn import char_cnn


def texts(batch=2, length=130, letters=70):
    return torch.randint(0, letters + 1, (batch, length), generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("variant", "width", "hidden"), [("char_cnn_small", 256, 1024), ("char_cnn_large", 1024, 2048)]
)
def test_parameters_follow_from_the_papers_tables(variant, width, hidden):
    """Table 1: kernels 7, 7, 3, 3, 3, 3; table 2: dense layers over (1014 - 96) / 27 = 34 frames."""
    with torch.device("meta"):
        model = char_cnn(variant, num_classes=14)
    convs = (70 * 7 + 1) * width + (width * 7 + 1) * width + 4 * (width * 3 + 1) * width
    dense = (34 * width + 1) * hidden + (hidden + 1) * hidden + (hidden + 1) * 14
    assert sum(p.numel() for p in model.parameters()) == convs + dense
    assert model.head[1].in_features == {"char_cnn_small": 8704, "char_cnn_large": 34_816}[variant]


def test_sizes_after_each_pooling_are_those_of_the_authors_program():
    with torch.device("meta"):
        model = char_cnn("char_cnn_large")
        maps = model.features(torch.empty(2, 1014, dtype=torch.int64))
    assert [stage.shape for stage in maps] == [(2, 1024, 336), (2, 1024, 110), (2, 1024, 34)]
    plan = neocog.plan(model, (1014,), dtype=torch.int64)
    assert plan.output_shapes == ((4,),)


def test_receptive_field():
    """7 + 2, then (6 + 2) * 3 more, then (4 * 2 + 2) * 9 more."""
    with torch.device("meta"):
        row = neocog.plan(char_cnn("char_cnn_small"), (1014,), dtype=torch.int64).row("stages.2.4")
    assert (row.receptive_field, row.stride) == ((9 + 24 + 90,), (27,))


def test_characters_become_columns_with_a_one_and_none_becomes_zeros():
    stem = char_cnn("char_cnn_small", in_channels=5, length=123).stem
    expected = F.one_hot(torch.tensor([[0, 1, 5, 3]]), 6)[..., 1:].transpose(1, 2).float()
    assert torch.equal(stem(torch.tensor([[0, 1, 5, 3]])), expected)
    assert stem.double()(torch.tensor([[0]])).dtype == torch.float64


def test_forward_is_the_papers_tables_in_order():
    model = char_cnn("char_cnn_small", length=130).eval()
    values = list(model.parameters())
    tokens = texts()
    maps = F.one_hot(tokens, 71)[..., 1:].transpose(1, 2).float()
    for i, pooled in enumerate((True, True, False, False, False, True)):
        maps = F.conv1d(maps, values[2 * i], values[2 * i + 1]).relu()
        maps = F.max_pool1d(maps, 3) if pooled else maps
    hidden = maps.flatten(1)
    for i in (12, 14):
        hidden = F.linear(hidden, values[i], values[i + 1]).relu()
    torch.testing.assert_close(model(tokens), F.linear(hidden, *values[16:]))


@pytest.mark.parametrize(("variant", "std"), [("char_cnn_small", 0.05), ("char_cnn_large", 0.02)])
def test_first_weights_are_gaussian(variant, std):
    torch.manual_seed(0)
    for name, values in char_cnn(variant, length=123).named_parameters():
        if values.numel() >= 1000:
            assert abs(values.mean()) < 0.1 * std, name
            assert abs(values.std() - std) < 0.1 * std, name


@pytest.mark.parametrize("length", [123, 149, 150, 400])
def test_other_lengths_and_alphabets(length):
    model = char_cnn("char_cnn_small", length=length, in_channels=30, num_classes=3).eval()
    assert model(texts(2, length, 30)).shape == (2, 3)


def test_a_text_too_short_is_refused():
    with pytest.raises(GeometryError, match=r"at least 123 characters. Received: length=122\. Pad the texts"):
        char_cnn("char_cnn_small", length=122)
    with pytest.raises(GeometryError, match=r"head\.1"), torch.device("meta"):
        neocog.plan(char_cnn("char_cnn_small"), (500,), dtype=torch.int64)


def test_dropout_acts_on_the_dense_layers_in_training_alone():
    tokens = texts()
    for dropout, same in ((0.5, False), (0.0, True)):
        model = char_cnn("char_cnn_small", length=130, dropout=dropout)
        assert torch.equal(model(tokens), model(tokens)) == same
        assert torch.equal(model.eval()(tokens), model(tokens))


def test_exported_for_batches_of_any_size():
    model = char_cnn("char_cnn_small", length=130).eval()
    program = torch.export.export(model, (texts(),), dynamic_shapes=({0: torch.export.Dim("batch")},))
    torch.testing.assert_close(program.module()(texts(5)), model(texts(5)))
