"""The program: its verbs, and how errors leave it."""

import io
import signal
import sys
from collections.abc import Sequence

import cyclopts
from rich.console import Console

from neocog import __version__
from neocog.cli.stdout import silence_stdout
from neocog.errors import NeocogError

__all__ = ["app", "main"]

MISTAKE = 2  # exit code of everything that the user can mend

app = cyclopts.App(
    name="neocog",
    help="From your own pictures to a convolutional network that is trained, measured, understood and shipped.",
    version=__version__,
    help_epilogue="Begin with: neocog train mnist",
    help_format="plaintext",
    suppress_keyboard_interrupt=False,  # `main` says how to go on
)
ZOO = """List the networks that can be had by name.

neocog zoo
neocog zoo 'resnet*'
neocog zoo --plot networks.svg

Parameters, multiply-accumulates of one input, the receptive field at the end of
the last stage, and the accuracy on ImageNet that was published, with its source.
Each can be planned, and those for pictures trained: neocog train DATA --model NAME
"""
TRAIN = """Train a network on your data and leave a run folder.

neocog train mnist
neocog train pictures/ --epochs 30 --augment.flip 0.5
neocog train reviews.csv --model text_cnn
neocog train --resume runs/mnist-lenet5_relu-1
neocog train more/ --model.pretrained runs/pictures-resnet18-1

The folder runs/NAME holds report.html, model.neocog, results.csv, config.yaml
and checkpoints. Ctrl-C saves and says how to go on. Settings are also read from
YAML with --config; a flag goes before the file, the file before the recipe.
--devices K trains with K processes, one for each device.
"""
PLAN = """Plan a network: what it does with an input, before a step is trained.

neocog plan lenet5
neocog plan nets.py:build --input 3x224x224 --batch-size 64 --samples 50000
neocog plan model.neocog --object 20 --svg network.svg

A row for each operation as executed, with parameters, multiply-accumulates,
memory and receptive field; then time and memory on this machine, and advice.
Where sizes do not meet, the layer, the sizes, and an input that would fit.
"""
EVAL = """Measure a network on a data set.

Accuracy, loss, F1 and calibration, each with its 95% interval; then class by
class, and what is taken for what.

neocog eval runs/mnist-lenet5_relu-1/model.neocog mnist
neocog eval model.neocog pictures/ --split val --json > figures.json
"""
PREDICT = """Classify pictures, signals, sounds or texts.

neocog predict model.neocog seven.png two.png
neocog predict model.neocog scans/ --csv > scans.csv
cat seven.png | neocog predict model.neocog -

A file that can't be read is one line on standard error; the others are
still classified, and the exit code is 2.
"""
CHECK = """Examine a data set, and change nothing.

neocog check pictures/
neocog check mnist --json
neocog check pictures/ --html findings.html

Every record is read and decoded as in training. Found are files that can't be
read, duplicates within and across splits, labels that disagree, classes that
are missing or tiny, silent sounds, empty texts, boxes outside of the picture,
and more. What should be left out is written to neocog-skip.txt, which
`neocog train DATA --data.skip_list neocog-skip.txt` obeys. The exit code is 1
where something would stop training or spoil its figures.
"""
PACK = """Pack a data set into shards: few large files, any record reached by one read.

neocog pack pictures/ shards/
neocog pack pictures/ small/ --resize 256 --shard-size 1GiB
neocog pack mnist parquet/ --format parquet

Each shard is read back and compared after it is written. Called again with the
same settings, a packing that was stopped goes on. The data are never changed.
WebDataset reads the tars, `datasets` the Parquet files.
"""
FILTER = """Apply a classic kernel to a picture.

neocog filter sobel street.jpg -o edges.png
neocog filter gaussian street.jpg -o soft.png --sigma 4
neocog filter shift street.jpg -o moved.png --right 40 --border wrap

identity   the picture as it is
shift      the picture moved              --down --right
box        the mean over a square         --size
gaussian   a soft blur                    --sigma --size
sharpen    differences made larger
sobel      edges of any direction
sobel_x    where it gets brighter to the right
sobel_y    where it gets brighter downwards
laplacian  lines, dots, both sides of edges

The last four look at brightness alone, and take --stretch. sobel draws no edge
black and a sharp step from black to white (a response of 4) white. The others
have a sign: 0 is drawn middle grey, -4 black and 4 white.
"""
FIND = """Find a learning rate or a batch size before a run, by a short trial.

neocog find rate mnist
neocog find batch pictures/ --model resnet18
"""
RATE = """Find a learning rate by a range test.

neocog find rate mnist
neocog find rate pictures/ --model resnet18 --out rates.png

A copy of the network is trained for 100 steps while the rate rises from step to
step, until the loss does. Three rules read the curve: where it falls fastest, a
tenth of where it is lowest, and the middle of its longest fall. The first is
proposed, as the peak of a schedule, unless it lies far below the second; the
others are more careful. Takes train's settings.
"""
BATCH = """Find a batch size that fits in memory and is fast.

neocog find batch mnist
neocog find batch pictures/ --model resnet18 --json

Sizes are doubled, each trained for some steps with the run's own optimiser. On a
GPU the largest that fits in 90% of its free memory is proposed; on a CPU the
smallest that is as fast as any. Takes train's settings.
"""
LAUNCH_RAY = """Train on a Ray cluster, with the settings of `neocog train`.

neocog launch ray mnist --workers 2
neocog launch ray pictures/ --model resnet50 --workers 8 --gpus-per-worker 1

Each worker reads the data at the same path. Needs: pip install "neocog[scale]"
"""
LAUNCH_SLURM = """Print an sbatch script that trains with N nodes x K tasks, or submit it.

neocog launch slurm pictures/ --nodes 4 --tasks-per-node 8
neocog launch slurm pictures/ --nodes 4 --tasks-per-node 8 --submit
"""
# By name, so that a verb's modules load when it is used; hence its help stands here.
app.command("neocog.cli.plan:plan", name="plan", help=PLAN, sort_key=0)
app.command("neocog.cli.zoo:zoo", name="zoo", help=ZOO, sort_key=1)
app.command("neocog.cli.check:check", name="check", help=CHECK, sort_key=2)
app.command("neocog.cli.pack:pack", name="pack", help=PACK, sort_key=3)
find = cyclopts.App(name="find", help=FIND, help_format="plaintext", sort_key=4)
find.command("neocog.cli.find:rate", name="rate", help=RATE)
find.command("neocog.cli.find:batch", name="batch", help=BATCH)
app.command(find)
app.command("neocog.cli.train:train", name="train", help=TRAIN, sort_key=5)
launch = cyclopts.App(name="launch", help="Train on a cluster: SLURM or Ray.", help_format="plaintext", sort_key=6)
launch.command("neocog.cli.launch:launch_ray", name="ray", help=LAUNCH_RAY)
launch.command("neocog.cli.launch:launch_slurm", name="slurm", help=LAUNCH_SLURM)
app.command(launch)
app.command("neocog.cli.evaluate:evaluate", name="eval", help=EVAL, sort_key=7)
app.command("neocog.cli.predict:predict", name="predict", help=PREDICT, sort_key=8)
app.command("neocog.cli.filter:filter_picture", name="filter", help=FILTER, sort_key=9)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program and return its exit code: 0, 2 for a mistake that can be mended, 128 + n for signal n."""
    errors = Console(stderr=True, highlight=False, soft_wrap=True)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that knows no block characters gets question marks
    try:
        code = app(arguments, exit_on_error=False, print_error=False, result_action="return_value")
        return code if isinstance(code, int) else 0
    except (NeocogError, cyclopts.CycloptsError) as error:
        errors.print("error: ", style="bold red", end="")
        errors.print(str(error), markup=False)
        return MISTAKE
    except KeyboardInterrupt as stop:
        errors.print(str(stop) or "Stopped.", markup=False)
        return 128 + int(getattr(stop, "signum", signal.SIGINT))
    except BrokenPipeError:  # the reader, such as `head`, has had enough
        silence_stdout()
        return 0
