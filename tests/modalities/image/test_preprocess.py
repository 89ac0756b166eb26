import io
import json
from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from neocog.data import ArraySource, ImageConfig, ImageFolder, ImagePreprocess, Record, choose_image
from neocog.errors import DataError
from neocog.modalities.image.choose import check_channels
from neocog.modalities.image.pixels import Header

PICTURES = np.random.default_rng(0).integers(0, 256, (5, 9, 7, 3), dtype=np.uint8)


def png(pixels: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


specs = st.builds(
    ImagePreprocess,
    size=st.sampled_from([(9, 7), (5, 5), (16, 12), (3, 20)]),
    channels=st.sampled_from([1, 3]),
    bit_depth=st.sampled_from([8, 16]),
    resize=st.sampled_from(["squash", "crop", "letterbox"]),
    pad=st.sampled_from([(0, 0), (2, 1)]),
    mean=st.just((0.4,)),
    std=st.just((0.2,)),
)


@given(specs)
def test_json_round_trip_and_shape(spec):
    again = ImagePreprocess.from_json(json.loads(json.dumps(spec.to_json())))
    assert again == spec
    assert spec(PICTURES[0]).shape == spec.shape


@given(specs)
def test_decode_many_equals_decode_of_each(spec):
    many = spec.decode_many(PICTURES)
    single = [spec.decode(picture) for picture in PICTURES]
    assert torch.equal(many, torch.stack(single))
    assert torch.equal(spec.normalise(many), torch.stack([spec(picture) for picture in PICTURES]))


def test_encoded_image_and_its_pixels_decode_alike():
    spec = ImagePreprocess(size=(6, 6), channels=3, resize="crop", mean=(0.1, 0.2, 0.3), std=(0.2, 0.2, 0.2))
    assert torch.equal(spec(png(PICTURES[0])), spec(PICTURES[0]))


def test_normalise_subtracts_mean_and_divides_by_std():
    spec = ImagePreprocess(size=(9, 7), channels=3, mean=(0.1, 0.2, 0.3), std=(0.5, 0.25, 0.125))
    images = torch.from_numpy(PICTURES).permute(0, 3, 1, 2)
    mean, std = (torch.tensor(values, dtype=torch.float64).view(3, 1, 1) for values in (spec.mean, spec.std))
    torch.testing.assert_close(spec.normalise(images).double(), (images.double() / 255 - mean) / std, atol=1e-6, rtol=0)


def test_normalise_leaves_its_input_alone():
    images = torch.rand(2, 1, 4, 4)
    before = images.clone()
    ImagePreprocess(size=(4, 4), channels=1, mean=(0.5,), std=(0.5,)).normalise(images)
    assert torch.equal(images, before)


def test_resize_rules_keep_what_they_promise():
    wide = np.zeros((10, 30, 1), np.uint8)
    wide[:, 10:20] = 255
    squash = ImagePreprocess(size=(10, 10), channels=1).decode(wide)[0].numpy()
    crop = ImagePreprocess(size=(10, 10), channels=1, resize="crop").decode(wide)[0].numpy()
    letterbox = ImagePreprocess(size=(30, 30), channels=1, resize="letterbox").decode(wide)[0].numpy()
    assert squash.mean() == pytest.approx(85, abs=2)  # a third is white, still
    assert (crop == 255).all()  # the centre is all white
    odd = ImagePreprocess(size=(10, 20), channels=1, resize="crop").decode(wide)[0].numpy()
    assert odd.shape == (10, 20)
    assert (odd[:, :5] < 9).all()
    assert (odd[:, 6:14] == 255).all()
    assert (letterbox[10:20] == wide[:, :, 0]).all()
    assert letterbox[:10].max() == letterbox[20:].max() == 0


def test_shrinking_is_antialiased():
    stripes = np.tile(np.array([0, 255], np.uint8), (64, 32))[:, :, None]
    shrunk = ImagePreprocess(size=(16, 16), channels=1).decode(stripes)
    assert (shrunk.int() - 127).abs().max() < 12


def test_padding_is_black_and_after_resizing():
    padded = ImagePreprocess(size=(9, 7), channels=3, pad=(2, 1)).decode(np.full((9, 7, 3), 200, np.uint8))
    assert padded.shape == (3, 13, 9)
    assert (padded[:, 2:-2, 1:-1] == 200).all()
    assert padded.sum() == 200 * 9 * 7 * 3


def test_depths_are_converted_exactly():
    grey = np.array([[0, 1], [128, 255]], np.uint8)
    deep = ImagePreprocess(size=(2, 2), channels=1, bit_depth=16)
    assert deep.decode(grey)[0].tolist() == [[0, 257], [128 * 257, 65535]]
    assert deep.normalise(deep.decode(grey)[None]).max() == 1.0
    with pytest.raises(DataError, match=r"takes images of 8 bits. a\.tif: received 16 bits.*--image\.bit_depth 16"):
        ImagePreprocess(size=(2, 2), channels=1).decode(grey.astype(np.uint16), "a.tif")
    shallow = ImagePreprocess(size=(2, 2), channels=1, convert=True)
    assert shallow.decode(grey.astype(np.uint16) * 257)[0].tolist() == grey.tolist()


def test_grey_is_weighted_as_pillow_does():
    ours = ImagePreprocess(size=(9, 7), channels=1).decode(PICTURES[0])[0].numpy().astype(int)
    pillows = np.asarray(Image.fromarray(PICTURES[0]).convert("L")).astype(int)
    assert np.abs(ours - pillows).max() <= 1


def test_measured_statistics_are_the_mean_and_deviation_of_each_channel():
    spec = ImagePreprocess(size=(9, 7), channels=3)
    measured = spec.measured(spec.decode_many(PICTURES))
    scaled = PICTURES.astype(np.float64) / 255
    np.testing.assert_allclose(measured.mean, scaled.mean(axis=(0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(measured.std, scaled.std(axis=(0, 1, 2)), rtol=1e-12)
    flat = ImagePreprocess(size=(4, 4), channels=1).measured(torch.full((3, 1, 4, 4), 7, dtype=torch.uint8))
    assert flat.std == (1.0,)


def test_version_from_the_future_is_refused():
    with pytest.raises(DataError, match="up to version 3 is supported. Received: .*'version': 9"):
        ImagePreprocess.from_json({**ImagePreprocess(size=(2, 2), channels=1).to_json(), "version": 9})


def test_array_of_floats_is_refused():
    with pytest.raises(DataError, match=r"uint8 or uint16. the image: received float32 \(9, 7\)"):
        ImagePreprocess(size=(2, 2), channels=1).decode(np.zeros((9, 7), np.float32))


def test_inconvertible_channels_are_refused():
    for found, asked in ((4, 3), (3, 4), (2, 1), (7, 3), (3, 5)):
        with pytest.raises(
            DataError, match=rf"takes images of {asked} channels; only grey .* a\.npy: received {found} channels"
        ):
            ImagePreprocess(size=(2, 2), channels=asked).decode(np.zeros((9, 7, found), np.uint8), "a.npy")


def test_many_channels_are_normalised_independently():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 9, 7, 5), dtype=np.uint8)
    spec = ImagePreprocess(size=(9, 7), channels=5, pad=(1, 2))
    assert spec.shape == (5, 11, 11)
    spec = spec.measured(spec.decode_many(pixels))
    assert len(spec.mean) == 5
    assert spec(pixels[0]).shape == spec.shape
    assert torch.equal(spec.decode(pixels[0]), spec.decode_many(pixels[:1])[0])


def test_resize_treats_four_channels_independently():
    """Pillow would weigh the first three by the fourth, and give nothing where it is zero."""
    pixels = np.full((20, 20, 4), 200, np.uint8)
    pixels[:, :, 3] = 0
    assert (ImagePreprocess(size=(8, 8), channels=4).decode(pixels)[:3] == 200).all()


def choose(source, **settings):
    return choose_image(source, np.arange(len(source)), ImageConfig(**settings), (3, 32, 32))


def array_source(*shape, dtype=np.uint8):
    return ArraySource("a", {"all": (np.zeros((4, *shape), dtype), np.array([0, 1, 0, 1]))})


def test_choose_image_pads_slightly_smaller_images():
    spec, reasons = choose(array_source(28, 28))
    assert (spec.size, spec.pad, spec.channels, spec.bit_depth) == ((28, 28), (2, 2), 1, 8)
    assert reasons["pad"] == "the network was made for 32x32"


def test_choose_image_resizes_other_sizes():
    assert choose(array_source(8, 8))[0].size == (32, 32)
    assert choose(array_source(8, 8))[0].pad == (0, 0)
    assert choose(array_source(28, 27))[0].pad == (0, 0)
    assert choose(array_source(100, 60, 3))[0].resize == "crop"
    assert choose(array_source(32, 32, 3))[0].resize == "squash"
    assert choose(array_source(32, 32, dtype=np.uint16))[0].bit_depth == 16


def test_choose_image_keeps_given_settings():
    spec, reasons = choose(array_source(28, 28), size="24x20", channels=3, resize="letterbox", pad=1)
    assert (spec.size, spec.pad, spec.channels, spec.resize) == ((24, 20), (1, 1), 3, "letterbox")
    assert set(reasons) == {"bit_depth"}


def test_folders_are_surveyed_by_their_headers(tmp_path, draw):
    draw(tmp_path, {"a": (10, 10, 10), "b": (200, 10, 10)}, count=3, size=24)
    source = ImageFolder(tmp_path)
    spec, _ = choose(source)
    assert (spec.size, spec.pad, spec.channels) == ((24, 24), (4, 4), 3)
    for path in (source.paths[0], source.paths[4]):
        path.write_bytes(b"text")
    with pytest.raises(
        DataError, match=r"a/00\.png: received a file that is not an image(?s:.*)1 more can't be read:\n.*b/01\.png"
    ):
        choose(source)


def folder_of(tmp_path, *kinds):
    """A class "a" of pictures with these channels, and an empty class "b"."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for i, channels in enumerate(kinds):
        np.save(tmp_path / "a" / f"{i}.npy", np.zeros((9, 7, channels), np.uint8))
    return ImageFolder(tmp_path)


def test_choose_image_takes_the_channels_of_the_images(tmp_path):
    assert choose(array_source(32, 32, 5))[0].channels == 5
    assert choose(folder_of(tmp_path, 7, 7))[0].channels == 7


def test_grey_and_rgb_mix_and_others_do_not(tmp_path):
    assert choose(folder_of(tmp_path, 1, 3))[0].channels == 3
    np.save(tmp_path / "a" / "2.npy", np.zeros((9, 7, 4), np.uint8))
    with pytest.raises(
        DataError, match="one number of channels.*numbers, 1 of 1, 1 of 3, 1 of 4 channels. Make a data set of each"
    ):
        choose(ImageFolder(tmp_path))


def test_requested_channels_must_be_available(tmp_path):
    with pytest.raises(DataError, match=r"Asked for: 3. In a, 4 can't be brought to that: 4 of 5 channels"):
        choose(array_source(9, 7, 5), channels=3)
    check_channels("a", Counter({Header(9, 7, 3, 8, alpha=True): 2}), 4)
    with pytest.raises(DataError, match=r"Asked for: 4. In a, 1 can't be .* 3 of 3 channels"):
        check_channels("a", Counter({Header(9, 7, 3, 8, alpha=True): 2, Header(9, 7, 3, 8): 1}), 4)


def test_choose_image_surveys_arrays_of_many_sizes():
    class Arrays:
        name = "a"

        def read(self, index):
            return Record(str(index), np.zeros((9 + index, 7), np.uint16), 0)

        def __len__(self):
            return 2

    spec, _ = choose(Arrays())
    assert (spec.size, spec.channels, spec.bit_depth) == ((32, 32), 1, 16)


def test_choose_image_skips_unreadable_images_on_request(pictures):
    (pictures / "red" / "00.png").write_bytes(b"")
    source, everything = ImageFolder(pictures), np.arange(36)
    with pytest.raises(DataError, match="must not be empty"):
        choose_image(source, everything, ImageConfig(), (3, 24, 24))
    spec, _ = choose_image(source, everything, ImageConfig(), (3, 24, 24), skip=True)
    assert spec.channels == 3
    for path in pictures.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match="must not be empty"):
        choose_image(source, everything, ImageConfig(), (3, 24, 24), skip=True)


def test_choose_image_samples_headers_of_many_images(pictures, monkeypatch):
    monkeypatch.setattr("neocog.modalities.choose.MOST_SURVEYED", 6)
    source = ImageFolder(pictures)
    read = []
    monkeypatch.setattr(ImageFolder, "read", lambda self, i, plain=ImageFolder.read: read.append(i) or plain(self, i))
    choose_image(source, np.arange(36), ImageConfig(), (3, 24, 24))
    assert read == [0, 6, 12, 18, 24, 30]
