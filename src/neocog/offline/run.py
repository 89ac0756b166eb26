"""`neocog.predict_files`: predictions for any number of files, each exactly once, whatever happens on the way."""

import json
import math
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import torch

from neocog import __version__
from neocog.bundle import Predictor, load
from neocog.cpus import num_cpus
from neocog.errors import ConfigError
from neocog.files import file_hash
from neocog.modalities.table import MODALITIES
from neocog.offline.begin import Inputs, open_job
from neocog.offline.claims import Claims, LockClaims, Place, RankClaims, exclusive, place_of
from neocog.offline.columns import Extra, check_extras
from neocog.offline.formats import Form, form_of
from neocog.offline.job import Identity, Job, Paths
from neocog.offline.meter import Meter
from neocog.offline.record import OfflineResult, finish, recorded
from neocog.offline.score import Scorer

__all__ = ["OfflineResult", "predict_files"]

MAX_BLOCK = 4096  # files
BLOCK_VALUES = 2**28  # of the inputs of a block: a minute or two on a CPU, which a kill repeats at most
TILES = 4  # in a large image, which a network whose outputs have places takes apart
POLL = 0.2  # seconds between two looks at what other processes do


def predict_files(
    bundle: str | Path,
    files: str | Path | Sequence[str | Path],
    out: str | Path,
    *,
    listed: str | Path | None = None,
    top: int = 3,
    extras: Sequence[Extra] = (),
    block: int | None = None,
    restart: bool = False,
    backend: str = "eager",
    ray: str | None = None,
) -> OfflineResult:
    """Predict files, and all files of the right kind below folders, into one .parquet, .csv or .jsonl file.

    Each file has one row, in the order of sorted paths; one that can't be read has an `error` in its row. Work is done
    and kept in blocks of `block` files, by default a minute or two of work, in `OUT.parts/` beside the output. A call
    that was stopped, by a signal, a full disk or a power cut, is continued by the same call. Several processes with the
    same call share the work; so do ranks with RANK and WORLD_SIZE in their environment.
    `listed` is a file with more paths, one on each line, or a table with a column `file`. `top` is how many classes to
    list; `extras` adds columns: probabilities, logits, masks (COCO's run lengths), masks-png. `restart` discards what
    an earlier call has done. `backend` is that of `neocog.load`; all of a run is computed by one. `ray` is the address
    of a Ray cluster that computes the blocks: auto, ray://HOST:PORT, or local.
    Raises RunError if the output exists, or was begun with other files, another bundle or other settings; ConfigError
    for settings that can't be; DataError if there are no files; StorageError if the system refuses to write.

        result = neocog.predict_files("model.neocog", "scans/", "predictions.parquet")
        print(result.files, result.failed)
    """
    names = [str(files)] if isinstance(files, str | Path) else [str(one) for one in files]
    paths, form_class = Paths(Path(out)), form_of(Path(out))
    check_call(names, listed, top, block)
    place, started = place_of(), time.monotonic()
    predictor = load(bundle, backend)
    extras, block = check_extras(predictor, extras), block or default_block(predictor)
    scorer = Scorer(predictor, top, extras, threads=max(1, num_cpus() // place.local_size))
    engine = predictor.backend_name  # that `auto` has chosen
    settings = {
        "--out": paths.out.suffix.lower(), "--top": top, "--with": list(extras), "--block": block, "--backend": engine
    }  # fmt: skip
    identity = Identity(file_hash(Path(bundle)), settings)
    about = {"neocog": __version__, "torch": torch.__version__, "classes": list(predictor.classes)}
    form = form_class(scorer.columns, {name: json.dumps(value) for name, value in about.items()})
    kind = MODALITIES[predictor.preprocess.modality]
    inputs = Inputs(names, None if listed is None else Path(listed), kind.suffixes, kind.plural, paths)
    with ExitStack() as stack:
        job = open_job(paths, inputs, identity, about, restart, place, stack)
        if job is None:
            return recorded(paths)
        with saying_how_far(job):
            if ray is None:
                computed = work(
                    job, scorer, form, LockClaims(job) if place.size == 1 else RankClaims(job, place), place
                )
            else:
                from neocog.offline.on_ray import Computation, work_on_ray

                there = (Path(bundle).resolve(), identity.bundle, engine, job.folder.resolve())
                computed = work_on_ray(job, Computation(*there, top, extras, form, Path.cwd()), ray)
        if place.rank:
            seconds = time.monotonic() - started
            return OfflineResult(paths.out, job.num_files, 0, (), computed, seconds, joined=False)
        if place.size == 1:
            stack.enter_context(exclusive(paths))
        return finish(job, form, paths, computed, started)


def default_block(predictor: Predictor) -> int:
    """As many files as a block has if nobody says."""
    values = math.prod(predictor.preprocess.shape) * (TILES if predictor.task.dense else 1)
    return max(1, min(MAX_BLOCK, BLOCK_VALUES // max(1, values)))


def check_call(files: Sequence[str], listed: object, top: int, block: int | None) -> None:
    """Raises ConfigError for settings that are wrong whatever the network."""
    if not files and listed is None:
        raise ConfigError("Nothing to predict.", fix="Name files or folders, or a file of paths with --list.")
    if top < 1:
        raise ConfigError("--top must be at least 1.", received=str(top))
    if block is not None and block < 1:
        raise ConfigError("A block has at least one file.", received=f"--block {block}", fix="Leave it out.")


def work(job: Job, scorer: Scorer, form: Form, claims: Claims, place: Place) -> int:
    """Compute blocks until all are done, or for a rank but the first, until its own are. Returns the files computed."""
    computed = 0
    try:
        with Meter(job) as meter:
            while True:
                blocks = ((block, job.paths(block)) for block in claims.take())
                with closing(scorer.score(blocks, meter.seen)) as scored:
                    for block, rows in scored:
                        job.write(block, form, rows)
                        claims.release(block)
                        computed += len(rows)
                        meter.wrote(rows)
                if place.rank or len(job.done()) == len(job):
                    return computed
                meter.wait(POLL)
    finally:
        claims.release_all()


@contextmanager
def saying_how_far(job: Job) -> Iterator[None]:
    """Within this block, Ctrl-C is a KeyboardInterrupt that says how far the run is."""
    try:
        yield
    except KeyboardInterrupt:
        done = job.done()
        files = sum(map(job.files_in, done))
        raise KeyboardInterrupt(
            f"Stopped. {files:,} of {job.num_files:,} files are done, in {len(done):,} of {len(job):,} blocks. "
            "The same command continues."
        ) from None
