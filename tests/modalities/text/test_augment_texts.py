import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from neocog.modalities.text.augment import TextAugmentConfig, augment_texts

TOKENS = torch.from_numpy(np.random.default_rng(0).integers(2, 900, (60, 40)))
for row, length in enumerate(np.random.default_rng(1).integers(0, 41, 60).tolist()):
    TOKENS[row, length:] = 0
SAMPLES = np.arange(500, 560, dtype=np.uint64)


def run(drop, tokens=TOKENS, samples=SAMPLES, epoch=0, **settings):
    return augment_texts(tokens, samples, TextAugmentConfig(drop=drop), seed=5, epoch=epoch, **settings)


@given(st.floats(0, 1), st.integers(0, 59), st.integers(1, 60))
def test_sample_comes_out_the_same_in_any_batch(drop, start, count):
    part = slice(start, start + count)
    assert torch.equal(run(drop)[part], run(drop, TOKENS[part], SAMPLES[part]))


@given(st.floats(0, 1), st.integers(0, 5), st.sampled_from([0, 1]))
def test_drop_makes_tokens_unknown_and_keeps_padding(drop, epoch, unknown):
    before = TOKENS.clone()
    changed = run(drop, epoch=epoch, unknown=unknown)
    assert changed.dtype == torch.int64 and torch.equal(TOKENS, before)
    assert ((changed == TOKENS) | (changed == unknown)).all()
    assert (changed[TOKENS == 0] == 0).all()
    kept = (changed == TOKENS) & (TOKENS != 0)
    assert (kept.any(1) == (TOKENS != 0).any(1)).all()


@pytest.mark.parametrize("drop", [0.1, 0.5, 0.9])
def test_drop_removes_its_share_of_tokens(drop):
    tokens = torch.full((2000, 50), 7)
    changed = run(drop, tokens, np.arange(2000, dtype=np.uint64))
    share = (changed == 1).double().mean().item()
    assert abs(share - drop) < 5 * (drop * (1 - drop) / tokens.numel()) ** 0.5
    # Also in each place, so that no part of a text is spared.
    assert ((changed == 1).double().mean(0) - drop).abs().max() < 5 * (drop * (1 - drop) / 2000) ** 0.5


def test_one_token_is_always_kept():
    tokens = torch.full((400, 4), 7)
    changed = run(1.0, tokens, np.arange(400, dtype=np.uint64))
    assert ((changed == 7).sum(1) == 1).all()
    assert ((changed == 7).sum(0) > 60).all()


def test_epochs_differ_and_seeds_too():
    assert not torch.equal(run(0.3), run(0.3, epoch=1))
    other = augment_texts(TOKENS, SAMPLES, TextAugmentConfig(drop=0.3), seed=6, epoch=0)
    assert not torch.equal(run(0.3), other)


def test_no_augmentation_returns_the_same_tensor():
    assert run(0.0) is TOKENS
    assert run(0.5, torch.zeros(0, 4, dtype=torch.int64), SAMPLES[:0]).shape == (0, 4)


@pytest.mark.parametrize("drop", [-0.1, 1.1, float("nan")])
def test_chance_is_from_0_to_1(drop):
    with pytest.raises(ValidationError, match="drop"):
        TextAugmentConfig(drop=drop)
