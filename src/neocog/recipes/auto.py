"""The recipe that chooses everything by the data, within a budget of time."""

from neocog.data import DataConfig
from neocog.runs import RunConfig
from neocog.training import TrainConfig

__all__ = ["MINUTES", "auto"]

MINUTES = 10.0


def auto(data: str) -> RunConfig:
    """Look at the data, race a few candidates, and train the best of them: ten minutes in all, or `--minutes`.

    It chooses the network, weights to start from, image size, augmentation and length of training by validation data.
    What you set yourself stays as you set it. `config.yaml` then holds every choice with its reason.
    Source: successive halving, Jamieson & Talwalkar 2016; see `neocog.auto`.
    """
    return RunConfig(data=DataConfig(source=data), train=TrainConfig(search=True, minutes=MINUTES))
