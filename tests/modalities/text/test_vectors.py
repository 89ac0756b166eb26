"""Word vectors from files of word2vec and GloVe."""

import gzip
import os
import struct
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neocog.errors import DataError
from neocog.modalities.text import vectors
from neocog.modalities.text.vectors import Layout, find_layout, read_vectors

WORDS = ["film", "good", "New York", "'s", "café", "."]
VALUES = np.array([[0.5, -1, 2], [1, 2, 3], [1e-3, 0, -0.25], [4, 5, 6], [7, 8, 9], [-1, -1, 0]], np.float32)


def text_of(words=WORDS, values=VALUES, header=True):
    head = f"{len(words)} {values.shape[1]}\n" if header else ""
    lines = (" ".join([word, *map(str, row.tolist())]) for word, row in zip(words, values, strict=True))
    return (head + "\n".join(lines) + "\n").encode()


def binary_of(words, values, end=b"\n"):
    head = f"{len(words)} {values.shape[1]}\n".encode()
    rows = (word.encode() + b" " + row.astype("<f4").tobytes() + end for word, row in zip(words, values, strict=True))
    return head + b"".join(rows)


ONE_WORD = [word for word in WORDS if " " not in word]
ONE_WORD_VALUES = VALUES[[0, 1, 3, 4, 5]]
FORMS = {
    "word2vec": text_of(),
    "glove": text_of(header=False),
    "space at the end": text_of().replace(b"\n", b" \n"),
    "tabs": text_of(header=False).replace(b" 0.5 ", b"\t0.5\t"),
    "windows": text_of().replace(b"\n", b"\r\n"),
    "no line break at the end": text_of(header=False).rstrip(),
    "empty line": text_of(header=False) + b"\n",
    "decomposed": text_of().replace("é".encode(), "e\u0301".encode()),
    "gz": gzip.compress(text_of(header=False)),
}


@pytest.mark.parametrize("form", FORMS)
def test_text_formats_give_the_vectors_of_the_vocabulary(form, tmp_path):
    path = tmp_path / "vectors"
    path.write_bytes(FORMS[form])
    found = read_vectors(path, ["unheard", "café", "New York", "film", "."])
    assert found.found.tolist() == [False, True, True, True, True]
    assert found.values.dtype == np.float32
    np.testing.assert_array_equal(found.values, [[0, 0, 0], *VALUES[[4, 2, 0, 5]]])
    assert (found.num_words, found.num_repeated) == (6, 0)


@pytest.mark.parametrize("end", [b"\n", b""])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("chunk", [7, 40, 2**20])
def test_binary_format_gives_the_same(tmp_path, monkeypatch, end, pack, chunk):
    monkeypatch.setattr(vectors, "CHUNK", chunk)
    path = tmp_path / "vectors.bin"
    path.write_bytes(pack(binary_of(ONE_WORD, ONE_WORD_VALUES, end)))
    assert find_layout(path) == Layout(3, 5, True)
    found = read_vectors(path, ["café", "unheard", "film"])
    np.testing.assert_array_equal(found.values, [VALUES[4], [0, 0, 0], VALUES[0]])
    assert found.num_words == 5


@settings(deadline=None, max_examples=30)
@given(st.integers(2, 40), st.integers(2, 30), st.integers(0, 2**32 - 1))
def test_text_and_binary_are_told_apart(tmp_path_factory, size, count, seed):
    values = np.random.default_rng(seed).normal(0, 0.3, (count, size)).astype(np.float32)
    words = [f"w{k}" for k in range(count)]
    path = tmp_path_factory.mktemp("v") / "vectors"
    for content, binary in ((text_of(words, values), False), (binary_of(words, values), True)):
        path.write_bytes(content)
        assert find_layout(path) == Layout(size, count, binary)
        np.testing.assert_array_equal(read_vectors(path, words).values, values)
        path.unlink()


def test_first_of_repeated_words_counts(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("a 1 2\nb 3 4\na 5 6\na 7 8\nc 1 1\nc 2 2\n")
    found = read_vectors(path, ["b", "a"])
    assert found.values.tolist() == [[3, 4], [1, 2]]
    assert found.num_repeated == 2  # c is not in the vocabulary


def test_words_with_spaces_and_a_space_are_read_from_the_right(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("6 2\na 1 2\n  3 4\nat 5 pm 5 6\n. . . 7 8\n1 2 9 10\nb\u00a0c 11 12\n")
    words = ["a", " ", "at 5 pm", ". . .", "1 2", "b\u00a0c"]
    assert read_vectors(path, words).values.tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12]]


def test_size_is_that_of_most_lines(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("New York 1 2\na b c 3 4\n" + "".join(f"w{k} 1 2\n" for k in range(5)))
    assert find_layout(path) == Layout(2, None, False)
    assert read_vectors(path, ["New York", "a b c"]).values.tolist() == [[1, 2], [3, 4]]


DAMAGED = {
    "short": ("a 1 2\nb 3\nc 5 6\n", r"has 2 numbers. {path}, line 2: received 2 fields, 'b 3'. Correct or remove it."),
    "header": ("3 2\na 1 2\nb 3 4\nc 5\n", r"has 2 numbers. {path}, line 4: received 2 fields, 'c 5'."),
    "letters": ("a 1 2\nb 3 x4\nc 5 6\n", r"has 2 numbers. {path}, line 2: received 'x4'."),
    "gap": ("a 1 2\nb 3 \nc 5 6\n", r"{path}, line 2: received 2 fields, 'b 3'."),
    "two spaces": ("a 1 2 3\nb  4 5\nc 5 6 7\n", r"{path}, line 2: received 2 numbers."),
    "nan": ("a 1 2\nb 3 nan\nc 5 6\n", r"has finite numbers. {path}, line 2: received the number nan."),
    "huge": ("a 1 2\nb 3 1e39\nc 5 6\n", r"{path}, line 2: received the number 1e\+39."),
    "fewer": (
        "4 2\na 1 2\nb 3 4\nc 5 6\n",
        r"says how many there are, which is 4 here. {path}: received 3. Fetch it again: it is likely truncated",
    ),
    "more": ("2 2\na 1 2\nb 3 4\nc 5 6\n", r"which is 2 here. {path}: received 3."),
    "empty": (
        "",
        r"a word and its numbers in each line. {path}: received an empty file. Check the path, or convert it.",
    ),
    "prose": ("it was a dark night\nand it rained\n", r"{path}: received 'it was a dark night'."),
    "commas": ("a,1,2\nb,3,4\n", r"{path}: received 'a,1,2'."),
    "zip": ("PK\x03\x04 and so on", r"{path}: received 'PK.* and so on'. Unpack it."),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_damage_is_named_with_its_line(case, tmp_path):
    content, message = DAMAGED[case]
    path = tmp_path / "v.txt"
    path.write_text(content)
    with pytest.raises(DataError, match=message.format(path=path)):
        read_vectors(path, ["a", "b"])


def test_damage_in_a_word_that_is_not_needed_is_found_if_numbers_are_missing(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("a 1 2\nb 3\n")
    with pytest.raises(DataError, match="line 2"):
        read_vectors(path, ["a"])


BINARY = binary_of(["a", "b"], np.array([[1, 2], [3, 4]]))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (BINARY[:-3], r"which is 2 here. {path}: received 1. Fetch it again: it is likely truncated or damaged."),
        (BINARY + b"more", r"which is 2 here. {path}: received 3."),
        (BINARY[:-5] + struct.pack("<f", np.inf), r"has finite numbers. {path}, word 2: received the number inf."),
        (gzip.compress(BINARY)[:-12], r"{path} is truncated or damaged: "),
        (gzip.compress(text_of())[:30] + bytes(40), r"{path} is truncated or damaged: "),
    ],
)
def test_damaged_binary_and_packed_files_are_refused(content, message, tmp_path):
    path = tmp_path / "v.bin"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message.format(path=path)):
        read_vectors(path, ["a", "b"])


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"The word vectors .*none.txt can't be read: No such file.* Check the path."):
        read_vectors(tmp_path / "none.txt", ["a"])
    with pytest.raises(DataError, match=r"can't be read: Is a directory"):
        read_vectors(tmp_path, ["a"])


def test_memory_holds_the_vectors_of_the_vocabulary_alone(tmp_path):
    path = tmp_path / "v.txt"
    row = " ".join(["0.125"] * 100)
    path.write_text("".join(f"w{k} {row}\n" for k in range(20_000)))
    tracemalloc.start()
    found = read_vectors(path, [f"w{k}" for k in range(0, 20_000, 1000)])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert found.found.all() and found.num_words == 20_000
    assert peak < 3e6 < path.stat().st_size


def test_last_result_is_kept_until_the_file_changes(tmp_path):
    path = tmp_path / "v.txt"
    path.write_text("a 1 2\n")
    first = read_vectors(path, ["a"])
    assert read_vectors(path, ["a"]) is first
    with pytest.raises(ValueError, match="read-only"):
        first.values[0] = 0
    path.write_text("a 3 4\n")
    os.utime(path, ns=(1, 1))
    assert read_vectors(path, ["a"]).values.tolist() == [[3, 4]]
