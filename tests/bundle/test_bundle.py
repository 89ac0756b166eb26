import io
import json
import re
import shutil
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load as load_tensors
from safetensors.torch import save

import neocog
from neocog.bundle import Failure, Prediction, read_sealed, write_sealed
from neocog.data import open_source
from neocog.errors import BundleError, DataError


@pytest.fixture
def bundle(finished_run, tmp_path):
    return shutil.copy(finished_run.bundle, tmp_path / "model.neocog")


@pytest.fixture(scope="session")
def predictor(finished_run):
    return neocog.load(finished_run.bundle)


@pytest.fixture(scope="session")
def sevens(digits):
    """Images of the test split as arrays."""
    source = open_source(digits)
    return source.pictures(source.splits["test"])


def test_bundle_holds_three_members_and_no_pickle(bundle):
    with zipfile.ZipFile(bundle) as archive:
        assert archive.namelist() == ["manifest.json", "weights.safetensors", "golden.safetensors"]
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["classes"] == [str(k) for k in range(10)]
    assert manifest["model"] == {
        "name": "lenet5_relu",
        "num_classes": 10,
        "in_channels": 1,
        "options": {},
    }
    assert manifest["preprocess"]["pad"] == [2, 2]


def test_same_content_gives_the_same_file(bundle, tmp_path):
    write_sealed(tmp_path / "again", read_sealed(bundle))
    assert (tmp_path / "again").read_bytes() == bundle.read_bytes()


@given(st.data())
def test_any_changed_byte_is_refused(finished_run, tmp_path_factory, data):
    content = bytearray(finished_run.bundle.read_bytes())
    # The zip's own structure lies at the end; draw from it as often as from the members.
    low = data.draw(st.sampled_from([0, len(content) - 400]))
    place = data.draw(st.integers(low, len(content) - 1))
    content[place] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("b") / "model.neocog"
    path.write_bytes(content)
    with pytest.raises(BundleError):
        neocog.load(path)


def test_changed_weight_is_refused(bundle):
    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    with pytest.raises(BundleError, match="was changed or damaged after it was written: its SHA-256"):
        neocog.load(bundle)


def test_golden_samples_catch_other_weights(bundle):
    members = read_sealed(bundle)
    weights = load_tensors(members["weights.safetensors"])
    weights["stem.0.weight"] = weights["stem.0.weight"] * 1.05
    write_sealed(bundle, members | {"weights.safetensors": save(weights)})
    with pytest.raises(BundleError, match="no longer computes what it did when written: the logits .* differ by"):
        neocog.load(bundle)


def test_golden_inputs_are_stored_as_bytes(bundle):
    golden = load_tensors(read_sealed(bundle)["golden.safetensors"])
    assert golden["logits"].shape == (8, 10)
    assert all(golden[f"input_{i}"].dtype == torch.uint8 for i in range(8))


def zip_of(path, *names, kind=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name in names:
            archive.writestr(name, b"x" * 2000)
    return path


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["../evil.txt"], r"a path that leaves its folder: '\.\./evil\.txt'. Do not trust"),
        (["/etc/passwd"], "a path that leaves its folder"),
        (["C:\\evil.txt"], "a path that leaves its folder"),
        (["data.pkl", "manifest.json"], r"contains pickle \(data\.pkl\), which can run code"),
        (["archive/weights.PT"], "contains pickle"),
        (["manifest.json"], r"A bundle holds manifest\.json.*a\.neocog: received manifest\.json"),
        ([], "received nothing"),
        (["manifest.json", "weights.safetensors", "golden.safetensors"], "was changed or damaged"),
    ],
)
def test_foreign_zip_is_refused(tmp_path, names, message):
    with pytest.raises(BundleError, match=message):
        neocog.load(zip_of(tmp_path / "a.neocog", *names))


def test_compressed_zip_is_refused(tmp_path):
    names = ["manifest.json", "weights.safetensors", "golden.safetensors"]
    with pytest.raises(BundleError, match="are not compressed. .*received compressed members"):
        neocog.load(zip_of(tmp_path / "a.neocog", *names, kind=zipfile.ZIP_DEFLATED))


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 truncated"])
def test_other_file_than_a_zip_is_refused(tmp_path, content):
    (tmp_path / "a.neocog").write_bytes(content)
    with pytest.raises(BundleError, match=r"A bundle is a zip file, but .*a\.neocog is not"):
        neocog.load(tmp_path / "a.neocog")
    with pytest.raises(BundleError, match="can't be read: No such file"):
        neocog.load(tmp_path / "absent.neocog")
    with pytest.raises(BundleError, match="can't be read: Is a directory. Give the path of a model.neocog"):
        neocog.load(tmp_path)
    (tmp_path / "model.neocog").touch()
    with pytest.raises(BundleError, match=rf"Is a directory. Give {re.escape(str(tmp_path / 'model.neocog'))}"):
        neocog.load(tmp_path)


def test_huge_bundle_is_refused(bundle, monkeypatch):
    monkeypatch.setattr("neocog.bundle.seal.MAX_BYTES", 1000)
    with pytest.raises(BundleError, match=r"A bundle has at most 1,000 bytes. .*model\.neocog: received \d"):
        neocog.load(bundle)


def test_pickled_bytes_within_a_member_are_never_run(bundle):
    members = read_sealed(bundle)
    write_sealed(bundle, members | {"weights.safetensors": b"\x80\x04K\x01."})
    with pytest.raises(BundleError, match="is not a valid bundle"):
        neocog.load(bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 2}, "reads bundles of format 1. .*: received format 2.*Update"),
        ({"model": {"name": "absent", "num_classes": 10, "in_channels": 1, "options": {}}}, "No network is called"),
        ({"preprocess": {"version": 7}}, "up to version 3 is supported"),
        ({"preprocess": []}, "described by a mapping"),
        ({"classes": ["a"]}, "its 10 outputs need a different class name each, received"),
        ({"classes": "0123456789"}, "a different class name each"),
        ({"classes": ["0"] * 10}, "a different class name each"),
        ({"task": "ranking"}, "task must be known: classification, next move.* received 'ranking'. Import the"),
        ({"task": "regression"}, "mean must be a list of length 10, received None"),
        ({"model": [1]}, "is not a valid bundle"),
        ({"model": {"name": "lenet5", "num_classes": 10, "in_channels": 1, "options": {}}}, "is not a valid bundle"),
    ],
)
def test_invalid_manifest_is_refused(bundle, change, message):
    members = read_sealed(bundle)
    manifest = json.loads(members["manifest.json"]) | change
    write_sealed(bundle, members | {"manifest.json": json.dumps(manifest).encode()})
    with pytest.raises(BundleError, match=message):
        neocog.load(bundle)


def test_manifest_must_be_a_mapping(bundle):
    write_sealed(bundle, read_sealed(bundle) | {"manifest.json": b"[]"})
    with pytest.raises(BundleError, match="its manifest is not a mapping"):
        neocog.load(bundle)


def png(pixels):
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def test_every_form_of_an_image_gives_the_same_probabilities(predictor, sevens, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(png(sevens[0]))
    forms = [path, str(path), png(sevens[0]), sevens[0], sevens[0][:, :, None], Image.fromarray(sevens[0])]
    # One by one: within a batch, some processors compute the last rows by another order of sums.
    rows = np.concatenate([predictor.predict_proba([form]) for form in forms])
    assert (rows == rows[0]).all()
    np.testing.assert_allclose(predictor.predict_proba(forms), rows, rtol=1e-5)
    for form in forms:
        assert np.allclose(predictor.predict_proba(form), rows[:1])


def test_image_object_is_treated_like_its_file(predictor, sevens):
    exif = Image.Exif()
    exif[0x0112] = 6
    buffer = io.BytesIO()
    Image.fromarray(sevens[0]).save(buffer, "png", exif=exif)
    turned = Image.open(io.BytesIO(buffer.getvalue()))
    assert (predictor.predict_proba(turned) == predictor.predict_proba(buffer.getvalue())).all()
    assert (predictor.predict_proba(turned) != predictor.predict_proba(sevens[0])).any()
    with pytest.raises(DataError, match="must be opaque"):
        predictor.predict(Image.new("RGBA", (9, 9), (1, 2, 3, 4)))


def test_predictions_are_ranked_and_probabilities_sum_to_one(predictor, sevens):
    rows = predictor.predict_proba(sevens)
    assert rows.shape == (300, 10)
    assert np.allclose(rows.sum(axis=1), 1, atol=1e-12)
    found = predictor.predict(list(sevens[:5]), top=3)
    for prediction, row in zip(found, rows, strict=False):
        assert prediction.class_name == predictor.classes[row.argmax()]
        assert prediction.probability == pytest.approx(row.max(), abs=1e-6)
        assert [share for _, share in prediction.top] == pytest.approx(sorted(row)[::-1][:3], abs=1e-6)


def test_evaluation_and_prediction_agree(predictor, digits, finished_run, sevens):
    right = predictor.predict_proba(sevens).argmax(axis=1) == open_source(digits).targets[-300:]
    assert right.mean() == finished_run.evaluation.top1.value


def test_unreadable_image_does_not_stop_the_others(predictor, sevens):
    found = list(predictor.predict_each([sevens[0], b"text", sevens[1]]))
    assert [isinstance(result, Prediction) for result in found] == [True, False, True]
    assert isinstance(found[1], Failure)
    assert "input 1: received a file that is not an image" in found[1].error
    with pytest.raises(DataError, match="input 1: received a file that is not an image"):
        predictor.predict([sevens[0], b"text"])
    with pytest.raises(DataError, match="absent.png can't be read: No such file"):
        predictor.predict("absent.png")


def test_filters_on_a_cpu_are_channels_last(predictor):
    filters = [weights for weights in predictor.model.parameters() if weights.ndim == 4]
    assert filters
    assert all(weights.is_contiguous(memory_format=torch.channels_last) for weights in filters)


def test_no_inputs_give_no_predictions(predictor):
    assert predictor.predict([]) == []
    assert predictor.predict_proba([]).shape == (0, 10)
