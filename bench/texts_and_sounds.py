"""Measure texts and sounds: film reviews by cross-validation, spoken digits, and words in voices never heard.

    python shared/data/fetch.py mr fsdd spoken       # or any other way to get these sets into one folder
    python bench/texts_and_sounds.py mr --data ~/.cache/neocog/datasets --out mr.jsonl [--folds 10] [--first 3]
    python bench/texts_and_sounds.py fsdd --data ~/.cache/neocog/datasets --out fsdd.jsonl --seeds 0 1 2
    python bench/texts_and_sounds.py spoken --data ~/.cache/neocog/datasets --out spoken.jsonl --seeds 0 1 2

Each set is trained with the recipe of its kind, unchanged, through `neocog.train`; `--set KEY=VALUE` changes a setting.
With `--tool sklearn`, `mr` is given to scikit-learn instead: tf-idf of words and pairs of words, and logistic
regression with a penalty by cross-validation, the strongest simple method for texts of this length.

    mr       10,605 sentences of film reviews (Pang & Lee 2005). As in Kim 2014, each sentence is in one of ten folds at
             random; a fold is the test, and a tenth of the others validates. `--first N` runs only N of the folds.
    fsdd     3,000 spoken digits as 13 cepstral coefficients a frame, so they are signals; a fifth is the test.
    spoken   ten words, split by voice: no voice of the test is in training or validation.

A line of JSON is appended to --out after each run; runs that are there already are skipped, so that a measurement can
be interrupted and resumed. At the end, or with `--table` at once, the mean and the standard deviation are printed.
"""

import argparse
import csv
import importlib
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

import neocog
from neocog.evaluation import wilson

RECIPES = {"mr": "text", "fsdd": "signal", "spoken": "sound"}


def reviews(path: Path, folds: int, first: int) -> Iterator[tuple[str, Any]]:
    """The training and test texts of each fold, by its name."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    texts, labels = [row["text"] for row in rows], np.array([int(row["label"]) for row in rows])
    fold_of = np.random.default_rng(0).integers(folds, size=len(rows))
    for fold in range(first):
        parts = {}
        for split, chosen in (("train", fold_of != fold), ("test", fold_of == fold)):
            places = np.flatnonzero(chosen)
            parts[split] = ([texts[i] for i in places], labels[places])
        yield f"fold {fold}", parts


def sets(given: argparse.Namespace) -> Iterator[tuple[str, Any, int]]:
    """Name, data and seed of each run."""
    paths = {"fsdd": "fsdd/fsdd_mfcc.npz", "spoken": "spoken"}
    for seed in given.seeds:
        if given.name == "mr":
            for fold, parts in reviews(given.data / "mr/mr.csv", given.folds, given.first or given.folds):
                yield f"{fold}, seed {seed}", parts, seed
        else:
            yield f"seed {seed}", given.data / paths[given.name], seed


def measure_sklearn(run_name: str, parts: Any) -> dict[str, Any]:
    """The same by tf-idf and logistic regression; the figures of the run."""
    text: Any = importlib.import_module("sklearn.feature_extraction.text")
    linear: Any = importlib.import_module("sklearn.linear_model")
    pipeline: Any = importlib.import_module("sklearn.pipeline")
    begin = time.monotonic()
    words = text.TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    model = pipeline.make_pipeline(words, linear.LogisticRegressionCV(Cs=8, cv=5, max_iter=1000))
    model.fit(*parts["train"])
    texts, labels = parts["test"]
    hits = int((model.predict(texts) == labels).sum())
    found = wilson(hits, len(labels))
    return {
        "set": "mr", "run": run_name, "changes": {}, "accuracy": hits / len(labels), "low": found.low,
        "high": found.high, "count": len(labels), "seconds": round(time.monotonic() - begin, 1),
    }  # fmt: skip


def measure(run_name: str, data: Any, seed: int, given: argparse.Namespace) -> dict[str, Any]:
    """Train once; the figures of the run."""
    changes = dict(each.split("=", 1) for each in given.set)
    begin = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        run = neocog.train(
            data, recipe=RECIPES[given.name], runs=folder, name="run", overrides={"train.seed": seed, **changes}
        )
        assert run.evaluation is not None, "the run is finished"
        found = run.evaluation.metrics["accuracy"]
    return {
        "set": given.name, "run": run_name, "changes": changes, "accuracy": found.value, "low": found.low,
        "high": found.high, "count": run.evaluation.count, "seconds": round(time.monotonic() - begin, 1),
    }  # fmt: skip


def show(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        print(f"{row['run']:18} {row['accuracy']:.2%} of {row['count']:,}  {row['seconds']:,.0f} s")
    values = [row["accuracy"] for row in rows]
    spread = f", standard deviation {100 * statistics.stdev(values):.2f} points" if len(values) > 1 else ""
    print(f"mean of {len(values)}: {statistics.mean(values):.2%}{spread}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", choices=RECIPES)
    parser.add_argument("--data", type=Path, required=True, help="the folder with the sets")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--tool", choices=("neocog", "sklearn"), default="neocog", help="sklearn: for mr only")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--folds", type=int, default=10)
    parser.add_argument("--first", type=int, help="run only the first N folds")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE")
    parser.add_argument("--table", action="store_true", help="only print what is there")
    given = parser.parse_args()
    if given.tool == "sklearn" and given.name != "mr":
        parser.error("--tool sklearn reads texts; choose mr.")
    rows = [json.loads(line) for line in given.out.read_text().splitlines()] if given.out.exists() else []
    done = {row["run"] for row in rows}
    for run_name, data, seed in () if given.table else sets(given):
        if run_name not in done:
            sklearn = given.tool == "sklearn"
            rows.append(measure_sklearn(run_name, data) if sklearn else measure(run_name, data, seed, given))
            with given.out.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    show(rows)


if __name__ == "__main__":
    main()
