import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from neocog.evaluation import Unusual, compare_unusual, flag_unusual, least_usual


@pytest.mark.parametrize("num", [19, 40, 100, 999])
def test_new_inputs_score_below_the_threshold_in_at_most_5_of_100_cases(num):
    """Conformal prediction promises rank / (n + 1) for any distribution; with ties fewer."""
    generator, below = np.random.default_rng(0), 0
    for _ in range(4000):
        scores = generator.standard_cauchy(num + 1)
        below += scores[-1] < least_usual(scores[:-1])
    assert below / 4000 < 0.05 + 0.01
    assert below / 4000 > 0.05 - 1 / num - 0.01


def test_few_or_infinite_scores_give_no_threshold():
    assert least_usual(np.arange(18.0)) is None
    assert least_usual(np.array([np.inf] * 30)) is None


def test_scores_that_are_all_equal_flag_nothing():
    scores = np.zeros(50)
    assert flag_unusual("test", scores, least_usual(scores)).share.value == 0.0


def test_other_data_are_told_apart_as_scikit_learn_says():
    generator = np.random.default_rng(1)
    own, other = generator.normal(2, 1, 300), generator.normal(0, 1, 200)
    found = compare_unusual(own, other, 1.0, ("test", "noise"))
    truth = np.r_[np.ones(300), np.zeros(200)]
    assert found.auroc.value == pytest.approx(roc_auc_score(truth, np.r_[own, other]))
    assert found.own.share.value == (own < 1).mean() and found.other.share.value == (other < 1).mean()
    rows = found.rows()
    assert [row[0] for row in rows] == ["inputs", "test", "noise", "AUROC"]
    assert rows[2][1:3] == ("200", f"{(other < 1).mean():.2%}")


def test_split_alone_has_a_row():
    assert len(Unusual(flag_unusual("test", np.arange(9.0), 3.0)).rows()) == 2
