import unicodedata
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neocog.errors import ConfigError, DataError
from neocog.modalities.text.choose import ALPHABET, TextConfig, choose_text
from neocog.modalities.text.preprocess import TextPreprocess
from neocog.modalities.text.text_table import open_text_table
from neocog.modalities.text.tokens import tokens
from neocog.zoo import create_model

VOCABULARY = ("the", "film", "'s", "!")


def words(text, lowercase=True):
    return list(tokens(text, "word", lowercase=lowercase))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\n\u00a0\u3000", []),
        ("The film's good.", ["the", "film", "'s", "good", "."]),
        ("We don\u2019t; they'll", ["we", "don", "'t", ";", "they", "'ll"]),
        ("''Conan'' o'clock dogs'", ["'", "'", "conan", "'", "'", "o", "'", "clock", "dogs", "'"]),
        ("l'homme rock 'n' roll", ["l", "'", "homme", "rock", "'", "n", "'", "roll"]),
        ("the 1990's, $3.50", ["the", "1990", "'s", ",", "$", "3", ".", "50"]),
        ("word2vec a_b co-writer", ["word", "2", "vec", "a", "_", "b", "co", "-", "writer"]),
        ("Wait...!?", ["wait", ".", ".", ".", "!", "?"]),
        ("ФИЛЬМ Ελλάδα", ["фильм", "ελλάδα"]),
        ("cafe\u0301 CAF\u00c9", ["caf\u00e9", "caf\u00e9"]),
        ("हिन्दी है", ["हिन्दी", "है"]),
        ("映画はGoodな", ["映", "画", "は", "good", "な"]),
        ("좋은 영화", ["좋은", "영화"]),
        ("\U0001f600\U0001f600ok", ["\U0001f600", "\U0001f600", "ok"]),
    ],
)
def test_words_are_split_as_documented(text, expected):
    assert words(text) == expected


def test_lowercase_false_keeps_capitals():
    assert words("The The", lowercase=False) == ["The", "The"]
    assert list(tokens("A\u2019b", "character", lowercase=False)) == ["A", "'", "b"]


@given(st.text())
def test_nothing_but_white_space_is_lost(text):
    # The composed form is what tokens are taken from, so it is compared with itself.
    whole = "".join(tokens(text, "character", lowercase=True))
    assert "".join(words(text)) == "".join(whole.split())
    assert all(token and not any(sign.isspace() for sign in token) for token in words(text))


@given(st.text(max_size=30), st.integers(1, 12), st.sampled_from(["word", "character"]), st.booleans())
def test_ids_are_those_of_the_tokens(text, length, level, backward):
    vocabulary = ("a", "b", "film", "1")
    pre = TextPreprocess(level=level, length=length, vocabulary=vocabulary, backward=backward)
    ids = pre.decode(text)
    assert ids.shape == pre.shape == (length,) and ids.dtype == pre.dtype == torch.int64
    found = list(tokens(text, level, lowercase=True))[:length]
    expected = [vocabulary.index(token) + 2 if token in vocabulary else 1 for token in found]
    assert ids.tolist() == (expected[::-1] if backward else expected) + [0] * (length - len(found))
    assert int(ids.max()) < pre.in_channels
    assert pre.fill.item() == 0


def test_text_is_cut_padded_and_unchanged_by_normalise():
    pre = TextPreprocess(level="word", length=5, vocabulary=VOCABULARY)
    assert pre("The film's end!").tolist() == [2, 3, 4, 1, 5]
    assert pre("The film's own end!").tolist() == [2, 3, 4, 1, 1]
    assert pre("").tolist() == [0] * 5
    assert pre("\ufeffthe".encode()).tolist() == [2, 0, 0, 0, 0]
    assert pre.in_channels == 6
    ids = torch.tensor([[2, 0]])
    assert pre.normalise(ids) is ids


def test_unknown_tokens_may_count_as_nothing():
    pre = TextPreprocess(level="character", length=4, vocabulary=("a", "b"), unknown=0)
    assert pre("abX").tolist() == [1, 2, 0, 0] and pre.in_channels == 2


def test_it_survives_json():
    pre = TextPreprocess(level="word", length=5, vocabulary=VOCABULARY, lowercase=False)
    spec = pre.to_json()
    assert spec["modality"] == "text" and "ids" not in spec
    assert TextPreprocess.from_json({**spec, "vocabulary": list(VOCABULARY)}) == pre
    with pytest.raises(DataError, match="Update Neocog"):
        TextPreprocess.from_json({**spec, "version": 2})


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (b"ab\xff", "A text must be UTF-8. mine.txt: received byte 0xff at offset 2. Save it as UTF-8"),
        (np.zeros(3), "A text must be letters. mine.txt: received ndarray"),
    ],
)
def test_non_text_is_refused_by_name(payload, message):
    with pytest.raises(DataError, match=message):
        TextPreprocess(level="word", length=5, vocabulary=VOCABULARY).decode(payload, "mine.txt")


@pytest.fixture
def source(tmp_path):
    """200 texts: b twice as often as a and c, which are as frequent; the last 40 have words of their own."""
    rows = [
        f"{'b b a c' if i < 160 else 'held out words only here b'} {'x ' * (i % 20)}w{i},{i % 2}" for i in range(200)
    ]
    (tmp_path / "set.csv").write_text("text,label\n" + "\n".join(rows))
    return open_text_table(tmp_path / "set.csv")


def test_vocabulary_comes_from_training_texts_only(source):
    train = np.arange(160)
    pre, reasons = choose_text(source, train, TextConfig(), (50,), network="text_cnn")
    counts = Counter(word for i in train for word in words(source.read(int(i)).payload))
    # w0 ... w9 are w and a number: w comes in each text, each number once.
    assert pre.vocabulary == ("x", "b", "a", "c", "w")
    assert [counts[word] for word in pre.vocabulary] == sorted((counts[w] for w in pre.vocabulary), reverse=True)
    assert (pre.level, pre.lowercase, pre.unknown, pre.backward) == ("word", True, 1, False)
    assert pre.length == 4 + 19 + 2
    assert pre.in_channels == 7
    assert reasons["length"] == "99% of the training texts are no longer; the longest has 25"
    assert reasons["vocabulary"].startswith(f"5 of {len(counts):,} different tokens in the training texts; covers 9")
    assert reasons["level"] == "the network was not made for single characters"
    again, _ = choose_text(source, train[::-1], TextConfig(), (50,), network="text_cnn")
    assert again == pre


def test_choose_text_covers_99_percent_of_lengths(tmp_path):
    rows = ["a " * (1 + i // 2) + ",0" for i in range(198)] + ["a " * 5000 + ",1"] * 2
    (tmp_path / "set.csv").write_text("text,label\n" + "\n".join(rows))
    source = open_text_table(tmp_path / "set.csv")
    assert choose_text(source, np.arange(200), TextConfig(), (50,))[0].length == 99


def test_settings_are_kept(source):
    config = TextConfig(level="character", length=7, vocabulary=3, min_count=1, lowercase=False)
    pre, reasons = choose_text(source, np.arange(160), config, (50,), network="text_cnn")
    assert (pre.level, pre.length, len(pre.vocabulary), pre.lowercase) == ("character", 7, 3, False)
    assert reasons.keys() == {"vocabulary"}
    once, _ = choose_text(source, np.arange(160), TextConfig(min_count=1, vocabulary=30), (50,))
    # Of equal counts, the earlier in the alphabet comes first.
    assert once.vocabulary[5:] == tuple(sorted(str(i) for i in range(160)))[:25]


def test_vocabulary_without_tokens_is_named(tmp_path):
    (tmp_path / "set.csv").write_text("text,label\none,1\ntwo,0\n")
    source = open_text_table(tmp_path / "set.csv")
    with pytest.raises(DataError, match="occur 2 times. set: received 2 training texts without any.*min_count 1"):
        choose_text(source, np.arange(2), TextConfig(), (50,))


def test_texts_that_are_empty_have_a_length(tmp_path):
    (tmp_path / "set.csv").write_text("text,label\n" + ",1\n" * 200 + "a a,0\n")
    pre, _ = choose_text(open_text_table(tmp_path / "set.csv"), np.arange(201), TextConfig(), (50,))
    assert pre.length == 1


def test_character_networks_read_texts_as_published(source):
    assert len(ALPHABET) == 70 and ALPHABET[0] == "a" and ALPHABET[69] == "\n" and Counter(ALPHABET)["-"] == 2
    pre, reasons = choose_text(source, np.arange(3), TextConfig(), (1014,), network="char_cnn_small")
    assert (pre.vocabulary, pre.shape, pre.in_channels, pre.unknown) == (ALPHABET, (1014,), 70, 0)
    assert reasons.keys() == {"vocabulary", "level", "length"}
    ids = pre("Zé a\n")
    assert ids[:6].tolist() == [70, 1, 0, 0, 26, 0] and not ids[6:].any()
    assert ALPHABET[pre("-")[0] - 2 :][:3] == ("+", "-", "=")  # the later of the two hyphens
    longer = pre("ab" * 600)
    assert longer[0] == 2 and longer[1] == 1 and (longer > 0).all()
    model = create_model("char_cnn_small", in_channels=70, num_classes=2).eval()
    assert model.stem(ids[None])[0, 25, 4] == 1
    shorter, _ = choose_text(source, np.arange(3), TextConfig(length=200), (1014,), network="char_cnn_small")
    assert shorter.length == 200


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (TextConfig(level="word"), "char_cnn_large reads single characters.*Received: text.level=word"),
        (TextConfig(lowercase=False), "Received: text.lowercase=false. Remove the setting, or choose text_cnn"),
    ],
)
def test_character_network_refuses_conflicting_settings(source, config, message):
    with pytest.raises(ConfigError, match=message):
        choose_text(source, np.arange(3), config, (1014,), network="char_cnn_large")


def test_network_of_words_takes_the_ids(source):
    pre, _ = choose_text(source, np.arange(160), TextConfig(), (50,), network="text_cnn")
    model = create_model("text_cnn", in_channels=pre.in_channels, num_classes=2).eval()
    batch = torch.stack([pre(source.read(i).payload) for i in (0, 199)])
    assert model(batch).shape == (2, 2)


def test_marks_without_end_take_no_time_without_end():
    few, many = "e" + "\u0323\u0301" * 15, "e" + "\u0301\u0323" * 100_000
    assert "".join(tokens(few, "character", lowercase=True)) == unicodedata.normalize("NFC", few + "\u034f")
    assert len(list(tokens(many, "word", lowercase=True))) == 1
    assert "".join(tokens(few[:-1], "character", lowercase=True)) == unicodedata.normalize("NFC", few[:-1])
