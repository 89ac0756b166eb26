import pytest
import torch
import torch.nn.functional as F

import neocog
from neocog.zoo.networks.text_cnn import TextCNN

WORDS = 50


def sentences(batch=3, length=9):
    return torch.randint(1, WORDS, (batch, length), generator=torch.Generator().manual_seed(0))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return TextCNN(in_channels=WORDS, num_classes=4).eval()


@pytest.mark.parametrize(("vocabulary", "num_classes", "count"), [(20_000, 2, 6_360_902), (18_765, 5, 5_991_305)])
def test_parameters_are_word_vectors_windows_and_one_dense_layer(vocabulary, num_classes, count):
    with torch.device("meta"):
        model = TextCNN(in_channels=vocabulary, num_classes=num_classes)
    windows = sum(100 * (300 * size + 1) for size in (3, 4, 5))
    assert sum(p.numel() for p in model.parameters()) == 300 * vocabulary + windows + 301 * num_classes == count


def test_forward_is_the_papers_formula_over_a_sentence_between_zeros(model):
    tokens = sentences()
    vectors = F.pad(model.stem.weight[tokens].transpose(1, 2), (4, 5))
    strongest = [F.conv1d(vectors, conv.weight, conv.bias).relu().amax(2) for _, conv, _ in model.stages[0]]
    torch.testing.assert_close(
        model(tokens), F.linear(torch.cat(strongest, 1), model.head[3].weight, model.head[3].bias)
    )


@pytest.mark.parametrize("length", [1, 2, 4, 5, 60])
def test_sentences_of_any_length(model, length):
    tokens = sentences(length=length)
    assert model(tokens).shape == (3, 4)
    assert [maps.shape for maps in model.features(tokens)] == [(3, 300, length + 5)]


@pytest.mark.parametrize("length", [1, 9])
def test_padding_of_a_batch_changes_nothing(model, length):
    tokens = sentences(length=length)
    torch.testing.assert_close(model(F.pad(tokens, (0, 20))), model(tokens))


def test_place_i_is_made_of_windows_that_end_with_word_i(model):
    """By changing the fifth of nine words: windows of 3, 4 and 5 feel it at their own last 3, 4 and 5 places."""
    tokens = sentences()
    other = tokens.clone()
    other[:, 4] = tokens[:, 4] % (WORDS - 1) + 1
    changed = (model.features(tokens)[0] != model.features(other)[0]).any(0)
    for size, maps in zip((3, 4, 5), changed.split(100), strict=True):
        assert maps.any(0).nonzero().flatten().tolist() == list(range(4, 4 + size))


def test_the_largest_window_sees_five_words():
    with torch.device("meta"):
        model = TextCNN()
    row = neocog.plan(model, (59,), dtype=torch.int64).row("stages.0")
    assert (row.receptive_field, row.stride, row.output_shape) == ((5,), (1,), (300, 64))


def test_word_vectors_begin_as_wide_as_the_paper_says_and_the_padding_stays_zero(model):
    vectors = model.stem.weight
    assert vectors[1:].abs().max() <= 0.25
    assert abs(vectors[1:].std() - 0.5 / 12**0.5) < 0.003
    model(F.pad(sentences(), (0, 3))).sum().backward()
    assert not vectors[0].any() and not vectors.grad[0].any() and vectors.grad[1:].any()


def test_without_padding_every_id_is_a_word():
    model = TextCNN(in_channels=WORDS, padding_idx=None)
    model(torch.zeros(1, 5, dtype=torch.int64)).sum().backward()
    assert model.stem.weight[0].any() and model.stem.weight.grad[0].any()


def test_dropout_acts_on_the_maxima_in_training_alone():
    tokens = sentences()
    for dropout, same in ((0.5, False), (0.0, True)):
        model = TextCNN(in_channels=WORDS, dropout=dropout)
        assert torch.equal(model(tokens), model(tokens)) == same
        assert torch.equal(model.eval()(tokens), model(tokens))


def test_exported_for_batches_and_sentences_of_any_size(model):
    batch, length = torch.export.Dim("batch"), torch.export.Dim("length")
    program = torch.export.export(model, (sentences(),), dynamic_shapes=({0: batch, 1: length},))
    for tokens in (sentences(2, 3), sentences(5, 70)):
        torch.testing.assert_close(program.module()(tokens), model(tokens))
