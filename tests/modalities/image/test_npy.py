import io
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from neocog.data import ImageFolder, ImagePreprocess, decode_image
from neocog.errors import DataError
from neocog.modalities.image.decode import image_header, promises_image

LIMIT = 40_000_000
CUBE = np.random.default_rng(0).integers(0, 65_536, (12, 9, 7), dtype=np.uint16)


def npy(pixels: np.ndarray, version: tuple[int, int] | None = None) -> bytes:
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, pixels, version)
    return buffer.getvalue()


def with_header(header: str, content: bytes = b"") -> bytes:
    text = header.encode().ljust(200) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + content


def decode(payload: bytes, limit: int = LIMIT) -> np.ndarray:
    return decode_image(payload, "a.npy", max_pixels=limit, convert=False)


@pytest.mark.parametrize(
    "pixels",
    [CUBE, CUBE[:, :, 0], CUBE.astype(np.uint8), CUBE.astype(">u2"), np.asfortranarray(CUBE), CUBE[:, :, :3]],
)
def test_arrays_are_read_as_they_were_written(pixels):
    for version in ((1, 0), (2, 0)):
        found = decode(npy(pixels, version))
        assert np.array_equal(found, pixels.reshape(12, 9, -1))
        assert found.dtype in (np.uint8, np.uint16)
        header = image_header(npy(pixels, version), "a.npy", LIMIT)
        assert (header.height, header.width, header.channels) == found.shape
        assert header.bit_depth == 8 * found.itemsize


def test_many_channels_are_resized_independently():
    for pixels in (CUBE, CUBE.astype(np.uint8), CUBE[:, :, :2].astype(np.uint8), CUBE[:, :, :4].astype(np.uint8)):
        for rule in ("squash", "crop", "letterbox"):
            kind = {"size": (5, 6), "bit_depth": 8 * pixels.itemsize, "resize": rule, "pad": (1, 0)}
            together = ImagePreprocess(channels=pixels.shape[2], **kind).decode(npy(pixels))
            alone = [ImagePreprocess(channels=1, **kind).decode(npy(plane)) for plane in np.moveaxis(pixels, 2, 0)]
            assert torch.equal(together, torch.cat(alone))


def test_version_1_reads_them_too():
    first = ImagePreprocess(size=(12, 9), channels=7, bit_depth=16, dct_scaling=False, version=1)
    assert np.array_equal(first.decode(npy(CUBE)).permute(1, 2, 0).numpy(), CUBE)


@pytest.mark.parametrize(
    ("payload", "message"),
    [
        (npy(CUBE.astype(np.float32)), r"uint8 or uint16. a\.npy: received float32 \(12, 9, 7\). Scale floats"),
        (npy(CUBE.astype(np.int64)), "uint8 or uint16. [^:]*: received int64"),
        (npy(CUBE[0, 0]), r"\(H, W\) or \(H, W, C\).*received uint16 \(7,\)"),
        (npy(np.zeros((2, 2, 2, 2), np.uint8)), r"received uint8 \(2, 2, 2, 2\)"),
        (npy(np.zeros((4, 4, 257), np.uint8)), r"1 to 256 channels.*received uint8 \(4, 4, 257\)"),
        (npy(np.zeros((4, 4, 0), np.uint8)), r"1 to 256 channels.*received uint8 \(4, 4, 0\)"),
        (npy(np.zeros((3, 40, 50), np.uint8)), r"come last. a\.npy: received \(3, 40, 50\).*Move them with"),
        (npy(np.zeros((12, 40, 40), np.uint8)), r"come last. [^:]*: received \(12, 40, 40\)"),
        (npy(np.zeros((1, 9), np.uint8)), "at least 2 pixels on each side. a.npy: received 9 x 1"),
        (npy(CUBE)[:-1], r"a\.npy is truncated or damaged. .* 12 x 9 x 7 values, 1,512 bytes. Received: 1,511"),
        (npy(CUBE) + b"x", "1,512 bytes. Received: 1,513"),
        (b"\x93NUMPY", "a.npy is damaged: its .npy header can't be read"),
        (b"\x93NUMPY\x09\x00", "a.npy is damaged: its .npy header can't be read"),
        (with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (" + "(" * 90), "header can't be read"),
        (
            with_header("{'descr': '|u1', 'fortran_order': False, 'shape': (-4, 4)}"),
            r"says that its shape is \(-4, 4\)",
        ),
        (
            with_header("{'descr': '|V999999999', 'fortran_order': False, 'shape': (4, 4)}"),
            "uint8 or uint16. [^:]*: received",
        ),
    ],
)
def test_non_image_is_refused_by_name(payload, message):
    with pytest.raises(DataError, match=message):
        decode(payload)
    with pytest.raises(DataError, match=message):
        image_header(payload, "a.npy", LIMIT)


def test_lying_header_reserves_nothing():
    for shape, message in [
        ("(6000, 6000)", r"36,000,000 bytes. Received: 4\."),
        ("(60000, 60000)", r"at most 40 million pixels. a\.npy: received 60000 x 60000"),
        ("(6000, 6000, 200)", r"received 6000 x 6000 with 200 channels, every four counted as a pixel, which is 1800"),
        ("(10**99, 4)", "header can't be read"),
        ("(99999999999999999999999, 4)", "at most 40 million pixels"),
    ]:
        with pytest.raises(DataError, match=message):
            decode(with_header(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}}}", b"1234"))


def test_pickled_objects_are_never_loaded():
    class Trap:
        def __reduce__(self):
            return pytest.fail, ("unpickled",)

    header = "{'descr': '|O', 'fortran_order': False, 'shape': (4, 4)}"
    with pytest.raises(DataError, match=r"uint8 or uint16. [^:]*: received object \(4, 4\)"):
        decode(with_header(header, pickle.dumps(Trap())))


def test_npy_images_differ_from_signals_by_their_header():
    for pixels in (CUBE, CUBE[:, :, 0], np.zeros((900, 900), np.uint8)):
        assert promises_image(npy(pixels)[:4096])
    for other in (npy(CUBE.astype(np.float32)), npy(CUBE[0, 0]), npy(np.zeros((2, 9), np.int16)), b"\x93NUMPY", b""):
        assert not promises_image(other[:4096])


def test_folder_of_arrays_is_read(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "1.npy", CUBE)
    source = ImageFolder(tmp_path)
    assert [source.key(i) for i in range(len(source))] == ["a/1.npy", "b/1.npy"]
    assert np.array_equal(decode(source.read(0).payload), CUBE)


@given(st.data())
def test_any_damage_ends_in_a_named_error_or_an_image(data):
    payload = bytearray(npy(data.draw(st.sampled_from([CUBE, CUBE[:, :, 0], np.asfortranarray(CUBE)]))))
    for _ in range(data.draw(st.integers(0, 4))):
        payload[data.draw(st.integers(6, 130))] = data.draw(st.integers(0, 255))
    payload = payload[: data.draw(st.integers(6, len(payload)))] if data.draw(st.booleans()) else payload
    try:
        pixels = decode(bytes(payload), 10_000)
    except DataError as error:
        assert "a.npy" in str(error)  # noqa: PT017
    else:
        assert pixels.ndim == 3
        assert pixels.dtype in (np.uint8, np.uint16)
