"""Networks as scikit-learn estimators: arrays in, `fit`, `predict`, `predict_proba` and `score`.

    from neocog import CNNClassifier

    classifier = CNNClassifier(random_state=0).fit(X_train, y_train)
    classifier.score(X_test, y_test)

They work in pipelines, grid searches and cross-validation, can be cloned and pickled, and `save` writes the bundle that
`neocog predict` and `neocog.load` read. Needs scikit-learn: pip install 'neocog[sklearn]'.
"""

from neocog.errors import ConfigError

try:
    import sklearn  # noqa: F401
except ImportError as missing:
    raise ConfigError(
        "CNNClassifier and CNNRegressor need scikit-learn, which is not installed.",
        fix="Install it: pip install 'neocog[sklearn]'",
    ) from missing

from neocog.estimators.classifier import CNNClassifier
from neocog.estimators.inputs import InputError
from neocog.estimators.regressor import CNNRegressor
from neocog.estimators.settings import ParameterError

__all__ = ["CNNClassifier", "CNNRegressor", "InputError", "ParameterError"]
