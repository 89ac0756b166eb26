"""Networks in scikit-learn's pipelines, searches and callbacks, on images, signals and texts."""

import os
import pickle
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas
import pytest
import torch
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError
from sklearn.metrics import accuracy_score, r2_score
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import neocog
from neocog import CNNClassifier, CNNRegressor
from neocog.errors import ConfigError, DataError
from neocog.estimators import InputError, ParameterError
from neocog.estimators.inputs import InputForm, find_form

QUICK = {"model": "lenet5_relu", "epochs": 2, "random_state": 0}


def waves(count=60, classes=2, length=24, seed=0):
    """Signals whose frequency is their class."""
    rng = np.random.default_rng(seed)
    y = np.arange(count) % classes
    times = np.arange(length) / length * 2 * np.pi
    X = np.sin(times * (1 + 2 * y[:, None]) + rng.uniform(0, 1, (count, 1))) + rng.normal(0, 0.2, (count, length))
    return X, y


@pytest.fixture(scope="module")
def wave_model():
    X, y = waves()
    return CNNClassifier(epochs=10, random_state=0).fit(X, y)


@pytest.fixture(scope="module")
def small_digits():
    X, y = load_digits(return_X_y=True)
    return X[:400], y[:400]


def test_signals_are_classified(wave_model):
    X, y = waves(seed=1)
    assert wave_model.score(X, y) > 0.95
    probs = wave_model.predict_proba(X)
    assert probs.shape == (60, 2) and probs.dtype == np.float32
    np.testing.assert_array_equal(wave_model.classes_[probs.argmax(1)], wave_model.predict(X))
    assert wave_model.n_features_in_ == 24
    assert len(wave_model.history_) == wave_model.n_iter_ == 10
    assert wave_model.predictor_.preprocess.modality == "signal"


def test_channels_of_signals_are_told_from_images():
    X, y = waves(count=40)
    several = np.stack([X, X[:, ::-1]], axis=1)
    model = CNNClassifier(epochs=2, random_state=0).fit(several, y)
    assert model.predictor_.preprocess.shape == (2, 24)
    assert model.predict(several).shape == (40,)
    with pytest.raises(InputError, match=r"X must have the shape that CNNClassifier was fitted to: \(N, 2, 24\)"):
        model.predict(several[:, :, 1:])
    with pytest.raises(InputError) as error:
        CNNClassifier().fit(np.zeros((4, 8, 8)), [0, 1, 0, 1])
    assert str(error.value) == (
        "A 3-D array of floats is signals (N, channels, length) or images (N, H, W), and this could be either. "
        "Received: (N, 8, 8). Pass kind='signal' or kind='image'."
    )
    assert isinstance(error.value, ValueError)


def test_images_of_floats_rows_and_bytes_are_the_same_images(small_digits):
    X, y = small_digits
    bytes_ = np.round(X * 255 / 16).astype(np.uint8).reshape(-1, 8, 8)
    forms = {
        "bytes": CNNClassifier(**QUICK).fit(bytes_, y),
        "with a channel": CNNClassifier(**QUICK).fit(bytes_[..., None], y),
        "rows of whole numbers": CNNClassifier(**QUICK, kind="image", shape=(8, 8)).fit(
            bytes_.reshape(-1, 64).astype(int), y
        ),
    }
    inputs = {"bytes": bytes_, "with a channel": bytes_[..., None], "rows of whole numbers": bytes_.reshape(-1, 64)}
    expected = forms["bytes"].predict_proba(bytes_)
    for name, model in forms.items():
        assert model.predictor_.preprocess.modality == "image"
        np.testing.assert_array_equal(model.predict_proba(inputs[name]), expected, err_msg=name)
    floats = CNNClassifier(**QUICK, kind="image", shape=(8, 8)).fit(X, y)
    assert floats.predictor_.preprocess.bit_depth == 16
    np.testing.assert_allclose(floats.predict_proba(X), expected, atol=0.1)


def test_default_for_images_learns_digits(small_digits):
    X, y = small_digits
    model = CNNClassifier(kind="image", shape=(8, 8), epochs=15, random_state=0).fit(X[:300], y[:300])
    assert model.score(X[300:], y[300:]) > 0.9


def test_texts_are_classified():
    words = {"good": ("fine", "lovely", "great", "superb"), "bad": ("dull", "awful", "poor", "boring")}
    rng = np.random.default_rng(0)
    y = np.array(["good", "bad"] * 30)
    X = ["a " + " ".join(rng.choice(words[label], 4)) + " film" for label in y]
    model = CNNClassifier(epochs=6, random_state=0).fit(X, y)
    assert model.score(X, y) > 0.9
    assert not hasattr(model, "n_features_in_")
    assert model.predict(np.array(X[:3], object)).tolist() == model.predict(X[:3]).tolist()
    with pytest.raises(InputError, match="Texts are a list or a 1-D array of str. Received: list"):
        CNNClassifier(kind="text").fit([1.0, 2.0], [0, 1])


def test_labels_are_predicted_at_one_half():
    X, y = waves(count=80)
    labels = np.stack([y, 1 - y, np.arange(80) % 4 == 0], axis=1).astype(int)
    model = CNNClassifier(epochs=12, random_state=0).fit(X, labels)
    probs = model.predict_proba(X)
    np.testing.assert_array_equal(model.predict(X), (probs >= 0.5).astype(int))
    assert model.classes_.tolist() == [0, 1, 2]
    assert (model.predict(X)[:, :2] == labels[:, :2]).mean() > 0.9
    assert model.predictor_.task.name == "multi-label"
    with pytest.raises(ParameterError, match="class_weight is for single classes. Received: 3 labels"):
        CNNClassifier(class_weight="balanced").fit(X, labels)
    with pytest.raises(InputError, match="rows of 0 and 1. Received: several columns of classes"):
        CNNClassifier().fit(X, np.stack([y, y + 2], axis=1))


def test_several_columns_of_classes_go_through_scikit_learn():
    X, y = waves(count=30)
    both = np.stack([y, np.arange(30) % 3], axis=1)
    assert MultiOutputClassifier(CNNClassifier(epochs=1, random_state=0)).fit(X, both).predict(X).shape == (30, 2)


def test_numbers_come_back_in_their_unit():
    X, _ = waves(count=120)
    means = X[:, :6].mean(axis=1)
    y = pandas.DataFrame({"low": 1000 + 50 * means, "high": 7 - means})
    model = CNNRegressor(epochs=25, random_state=0).fit(X, y)
    assert model.predictor_.classes == ("low", "high")
    assert model.predict(X).shape == (120, 2)
    assert r2_score(y, model.predict(X)) > 0.7 and model.score(X, y) == pytest.approx(r2_score(y, model.predict(X)))
    one = CNNRegressor(epochs=1, random_state=0).fit(X, y["low"])
    assert one.predict(X).shape == (120,) and one.predictor_.classes == ("low",)
    assert CNNRegressor(epochs=1).fit(X, y.to_numpy()).predictor_.classes == ("y0", "y1")
    with pytest.raises(InputError, match="Numbers to predict must differ"):
        CNNRegressor().fit(X, np.ones(120))


def test_same_seed_gives_the_same_network_and_another_one_another():
    X, y = waves(count=40)
    first, again, other = (CNNClassifier(epochs=2, random_state=seed).fit(X, y).predict_proba(X) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    before = torch.random.get_rng_state(), torch.get_num_threads()
    CNNClassifier(epochs=1, random_state=0).fit(X, y)
    assert torch.equal(before[0], torch.random.get_rng_state()) and torch.get_num_threads() == before[1]


def test_arrays_are_not_changed_and_nothing_is_left_behind(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    X, y = waves(count=40)
    X[3, 5] = np.nan
    kept = X.copy(), y.copy()
    X.flags.writeable = y.flags.writeable = False
    model = CNNClassifier(epochs=1, random_state=0).fit(X, y)
    model.predict(X)
    np.testing.assert_array_equal(X, kept[0])
    np.testing.assert_array_equal(y, kept[1])
    assert not list(tmp_path.iterdir())
    said = capsys.readouterr()
    assert said.out == said.err == ""


def test_run_folder_is_kept_if_asked_for(tmp_path, capsys):
    X, y = waves(count=40)
    model = CNNClassifier(epochs=2, random_state=0, runs=tmp_path, verbose=True, validation_fraction=0.2).fit(X, y)
    assert model.run_.parent == tmp_path
    assert {"report.html", "model.neocog", "config.yaml"} <= {path.name for path in model.run_.iterdir()}
    assert "epoch   2/2" in capsys.readouterr().err
    np.testing.assert_array_equal(
        neocog.load(model.run_ / "model.neocog").predict_proba(list(X)), model.predictor_.predict_proba(list(X))
    )


def test_pickle_holds_the_bundle_and_the_bundle_no_pickle(wave_model, tmp_path):
    X, _ = waves(count=10)
    content = pickle.dumps(wave_model)
    assert wave_model.bundle_ in content
    copied = pickle.loads(content)
    np.testing.assert_allclose(copied.predict_proba(X), wave_model.predict_proba(X), atol=1e-6)
    wave_model.save(tmp_path / "model.neocog")
    loaded = neocog.load(tmp_path / "model.neocog")  # refuses pickle
    np.testing.assert_allclose(loaded.predict_proba(list(X)), wave_model.predict_proba(X), atol=1e-6)
    assert loaded.manifest["data"]["name"] == "arrays"


def test_pipelines_searches_and_scores():
    X, y = waves(count=40)
    pipeline = make_pipeline(StandardScaler(), CNNClassifier(epochs=2, random_state=0))
    search = GridSearchCV(pipeline, {"cnnclassifier__epochs": [1, 4]}, cv=2).fit(X, y)
    assert search.best_params_["cnnclassifier__epochs"] in (1, 4)
    assert search.predict(X).shape == (40,)
    assert cross_val_score(CNNClassifier(epochs=3, random_state=0), X, y, cv=2).shape == (2,)
    frame = pandas.DataFrame(X, columns=[f"t{k}" for k in range(24)])
    model = clone(pipeline).set_params(cnnclassifier__epochs=1).fit(frame, y)
    assert model.feature_names_in_.tolist() == frame.columns.tolist()


def test_threads_may_fit_at_once():
    X, y = waves(count=30)
    with ThreadPoolExecutor(2) as pool:
        made = list(
            pool.map(lambda seed: CNNClassifier(epochs=1, random_state=seed).fit(X, y).predict_proba(X), (0, 0))
        )
    np.testing.assert_array_equal(*made)


def test_classes_are_weighed():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(60, 12)), np.array([0] * 50 + [1] * 10)
    plain, balanced, one = (
        CNNClassifier(epochs=4, random_state=0, class_weight=weight).fit(X, y).predict_proba(X)[:, 1].mean()
        for weight in (None, "balanced", {1: 1000.0})
    )
    assert plain < balanced < one
    for weight, message in (
        ({2: 1.0}, "class_weight names classes of y. Received: 2"),
        ({0: -1.0}, "Weights of classes are positive. Received: -1"),
        (3, "class_weight is None, 'balanced' or a mapping. Received: 3"),
    ):
        with pytest.raises(ParameterError, match=message):
            CNNClassifier(class_weight=weight).fit(X, y)
    with pytest.raises(ParameterError, match=r"so it could not be repeated.*Use class_weight='balanced'"):
        CNNClassifier(class_weight={1: 2.0}, runs="runs").fit(X, y)


def test_samples_are_not_weighed():
    X, y = waves(count=20)
    with pytest.raises(ParameterError) as error:
        CNNClassifier().fit(X, y, sample_weight=np.ones(20))
    assert str(error.value) == (
        "CNNClassifier can't weigh single samples. Received: sample_weight. "
        "Leave it out, weigh classes by class_weight, or repeat samples in X and y."
    )
    assert CNNClassifier(epochs=1).fit(X, y, sample_weight=None).n_iter_ == 1
    with pytest.raises(ParameterError, match=r"CNNRegressor.fit takes X and y. Received: groups"):
        CNNRegressor().fit(X, y, groups=y)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "video"}, "kind is auto, image, signal or text. Received: 'video'"),
        ({"validation_fraction": 0.95}, "validation_fraction is a share of the samples, .*Received: 0.95"),
        ({"validation_fraction": 0.01}, "Validation needs at least one sample. Received: 0.01 of 20 samples"),
        ({"model": "time_series_fnc"}, "No network is called 'time_series_fnc'. Did you mean 'time_series_fcn'"),
        ({"model": "lenet5"}, "and lenet5 is for classification of images"),
        ({"recipe": "quick"}, "Unknown recipe: 'quick'"),
        ({"overrides": {"train.epoch": 3}}, "Unknown setting: 'train.epoch'"),
        ({"overrides": {"train.seed": 3}}, "train.seed is the parameter random_state. Pass random_state instead"),
        ({"overrides": {"train.patience": 3}}, "train.patience needs samples that are held out. Received: 20 samples"),
        ({"recipe": "auto", "validation_fraction": 0}, "The recipe auto needs samples that are held out. Received: 20"),
        ({"epochs": 3, "minutes": 1}, "A run has a number of epochs or a number of minutes"),
        (
            {"shape": (5, 5)},
            r"shape must have as many values as a row of X. Received: shape=\(5, 5\), for X of \(N, 24\)",
        ),
        ({"kind": "image"}, r"Images are an array \(N, H, W\) or \(N, H, W, C\). Received: \(N, 24\). Pass shape="),
    ],
)
def test_wrong_parameters_are_value_errors(settings, message):
    X, y = waves(count=20)
    with pytest.raises(ValueError, match=message) as error:
        CNNClassifier(**settings).fit(X, y)
    assert isinstance(error.value, ConfigError | DataError)


def test_images_without_a_reading_are_refused():
    with pytest.raises(InputError, match="Images must be finite. X: received NaN. Impute it."):
        CNNClassifier(kind="image").fit(np.full((4, 8, 8), np.nan), [0, 1, 0, 1])
    with pytest.raises(InputError, match=r"Signals are an array \(N, L\) or \(N, C, L\)"):
        find_form(np.zeros((4, 8, 8, 3)), "signal", None)
    form = find_form(np.array([[[0.0, 2.0], [1.0, 2.0]]]), "image", None)
    assert form == InputForm("image", (2, 2), (2, 2), "", 0.0, 2.0)
    assert form.read(np.array([[[0.0, 2.0], [1.0, 9.0]]]), "it").tolist() == [[[0, 65535], [32768, 65535]]]


def test_settings_reach_the_run():
    X, y = waves(count=40)
    given = {"optimizer.lr": 0.005, "train.batch_size": 8}
    model = CNNClassifier("mnist1d_prince", epochs=1, overrides=given, random_state=0, verbose=False)
    with pytest.raises(ValueError, match=r"mnist1d_prince"):
        model.fit(X, y)  # it takes signals of 40 samples only
    X, y = waves(count=40, length=40)
    assert model.fit(X, y).predictor_.manifest["model"]["name"] == "mnist1d_prince"


def test_recipe_auto_races_networks(tmp_path):
    X, y = waves(count=60)
    model = CNNClassifier(recipe="auto", minutes=0.2, random_state=0, runs=tmp_path).fit(X, y)
    assert "chosen" in (model.run_ / "config.yaml").read_text() and (model.run_ / "search").is_dir()
    assert model.n_iter_ == 0 and model.predict(X).shape == (60,)
    with pytest.raises(ParameterError, match=r"class_weight with recipe='auto' or runs"):
        CNNClassifier(recipe="auto", class_weight={0: 2.0}).fit(X, y)


def test_minutes_are_kept():
    X, y = waves(count=40)
    model = CNNClassifier(minutes=0.02, random_state=0).fit(X, y)
    assert model.n_iter_ >= 1 and model.score(X, y) > 0.4


def test_unfitted_estimator_says_so(tmp_path):
    for call in (lambda m: m.predictor_, lambda m: m.save(tmp_path / "m"), lambda m: m.predict(np.zeros((2, 3)))):
        with pytest.raises(NotFittedError):
            call(CNNRegressor())


def test_classes_keep_their_type(wave_model):
    X, y = waves(count=30)
    for labels in (y.astype(bool), y.astype(float), np.where(y, "up", "down"), np.array(["", "x"])[y]):
        model = CNNClassifier(epochs=1, random_state=0).fit(X, labels)
        assert model.classes_.dtype == np.asarray(labels).dtype
        assert set(model.predict(X)) <= set(labels)
    assert accuracy_score(y, CNNClassifier(epochs=1).fit(X, y.tolist()).predict(X)) >= 0


def test_import_of_neocog_stays_light():
    code = (
        "import sys, neocog; print([name for name in ('sklearn', 'torch', 'neocog.estimators') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_without_scikit_learn_the_extra_is_named():
    code = (
        "import sys; sys.modules['sklearn'] = None\nimport neocog\n"
        "try:\n    neocog.CNNClassifier\nexcept neocog.NeocogError as error:\n    print(error)"
    )
    found = subprocess.run([sys.executable, "-c", code], env=os.environ, capture_output=True, text=True, check=True)
    assert found.stdout.strip() == (
        "CNNClassifier and CNNRegressor need scikit-learn, which is not installed. "
        "Install it: pip install 'neocog[sklearn]'"
    )
