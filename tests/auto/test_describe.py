"""The search as a report shows it."""

from types import SimpleNamespace

import numpy as np

from neocog.auto.decide import decide
from neocog.auto.describe import describe_search, weak_classes
from neocog.evaluation import evaluate_classifier
from neocog.report import Search
from tests.auto.trials_by_hand import table, tried


def measured(recalls, support=100, train=(500, 40, 7)):
    """An evaluation with these recalls, and the data that it is of."""
    classes = len(recalls)
    targets = np.repeat(np.arange(classes), support)
    named = targets.copy()
    for label, recall in enumerate(recalls):
        wrong = np.flatnonzero(targets == label)[round(recall * support) :]
        named[wrong] = (label + 1) % classes
    logits = 8.0 * np.eye(classes, dtype=np.float32)[named]
    names = tuple("abcdefghijk"[:classes])
    evaluation = evaluate_classifier(
        logits, targets, names, [str(k) for k in range(len(targets))], data="d", split="test"
    )
    labels = np.repeat(np.arange(classes), train[:classes])
    prepared = SimpleNamespace(
        source=SimpleNamespace(targets=labels), splits=SimpleNamespace(train=np.arange(len(labels)))
    )
    return evaluation, prepared


def steps_of(trials, candidates):
    named = {f"{'trial-' if trial.rung else 'probe'}{trial.rung or ''}-{trial.candidate}": trial for trial in trials}
    return {
        "look": {"facts": {}, "lines": ["seen in the data"]},
        "race": {"first": 1.0},
        "choice": decide(candidates, trials, 60).to_json(),
        **{name: trial.to_json() for name, trial in named.items()},
    }


def test_report_section_has_what_was_seen_tried_and_chosen():
    trials = [tried(0, 0, 0.8, name="c0, frozen"), tried(1, 1, 0.9, history=[(1.0, 0.5), (2.0, 0.9)]),
              tried(2, 1, error="The loss diverged.")]  # fmt: skip
    found = describe_search(steps_of(trials, table(3, 0)), *measured((0.9, 0.9, 0.9)))
    assert isinstance(found, Search) and list(found.seen) == ["seen in the data"]
    assert [one.name for one in found.tried] == ["c0, frozen", "c1", "c2"]
    assert [one.round for one in found.tried] == ["frozen features", "first round", "first round"]
    assert [one.chosen for one in found.tried] == [False, True, False]
    assert [list(one.curve) for one in found.tried] == [[], [(1.0, 0.5), (2.0, 0.9)], []]
    assert found.tried[1].figure == "90.0% [88.0%, 91.7%]" and found.tried[2].figure == "The loss diverged."
    assert found.tried[1].by == "validation data" and found.tried[1].seconds == 11.0
    assert found.chosen[0].startswith("chosen: c1: 90.0% [88.0%, 91.7%] after 11 s in the race")


def test_data_that_were_not_looked_at_have_a_section_too():
    steps = steps_of([tried(0, 1, 0.8), tried(1, 2, 0.9)], table(2))
    steps["look"] = {"facts": {}}
    found = describe_search(steps, *measured((0.9, 0.9)))
    assert list(found.seen) == [] and [one.round for one in found.tried] == ["first round", "second round"]


def test_classes_far_below_the_accuracy_need_samples():
    said = weak_classes(*measured((0.95, 0.95, 0.4)))
    assert said == ["these classes need samples most: c (recall 40%, 7 training samples)"]
    assert weak_classes(*measured((0.95, 0.4, 0.5), train=(1500, 1040, 7)))[0].endswith(
        "b (recall 40%, 1,040 training samples); c (recall 50%, 7 training samples)"
    )


def test_classes_that_chance_may_explain_are_not_named():
    assert weak_classes(*measured((0.9, 0.88, 0.85))) == []
    assert weak_classes(*measured((1.0, 0.6), support=5)) == []


def test_at_most_five_classes_are_named():
    recalls = (*(0.99,) * 4, *(0.1,) * 7)
    (said,) = weak_classes(*measured(recalls, train=(10,) * 11))
    assert said.count("recall") == 5 and said.endswith(" and 2 more")


def test_other_evaluations_name_no_classes():
    assert weak_classes(SimpleNamespace(metrics={}), measured((0.9, 0.9))[1]) == []


def test_class_that_is_never_recognised_is_named_and_guessing_compared(capsys):
    _, prepared = measured((1.0, 0.0), support=2)
    logits = np.float32([[8, 0]] * 3)
    evaluation = evaluate_classifier(logits, np.array([0, 0, 1]), ("a", "b"), list("012"), data="d", split="test")
    expected = [
        "answering 'a' always would be right as often: 66.7% of the samples are",
        "these classes need samples most: b (recall 0%, 40 training samples)",
    ]
    assert weak_classes(evaluation, prepared) == expected
    describe_search(steps_of([tried(0, 1, 0.8), tried(1, 2, 0.9)], table(2)), evaluation, prepared)
    assert all(line in capsys.readouterr().err for line in expected[:1])
