"""Fine-tuning published weights on your own classes."""

from neocog.data import AugmentConfig, DataConfig
from neocog.errors import ConfigError
from neocog.runs import RunConfig
from neocog.tasks import LossConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig

__all__ = ["check_finetune", "finetune"]


def finetune(data: str) -> RunConfig:
    """Few epochs at a small rate; early layers, which detect edges and textures, change least.

    Each block learns at three quarters of the rate of the next one. The rate rises over a tenth of the steps and
    falls straight to a 32nd.
    The weights have to be named: `--model.pretrained torchvision`, or `auto` for what is installed or cached.
    Source: Howard & Ruder 2018, "Universal language model fine-tuning", section 3.2: discriminative rates (1/2.6 there,
    over fewer layers) and the slanted triangular schedule. AdamW and three quarters: as networks of timm are usually
    fine-tuned. The values are ours, and were not tuned on any data.
    """
    return RunConfig(
        data=DataConfig(source=data),
        model=ModelConfig(name="resnet18"),
        augment=AugmentConfig(crop_area=0.35, flip=0.5),
        loss=LossConfig(label_smoothing=0.1),
        optimizer=OptimizerConfig(name="adamw", lr=0.001, weight_decay=0.05, decay="weights", layer_decay=0.75),
        schedule=ScheduleConfig(name="triangular", rise=0.1, final=1 / 32),
        train=TrainConfig(epochs=10, batch_size=32, clip_norm=1.0, freeze_epochs=1),
    )


def check_finetune(config: RunConfig) -> None:
    """Raises ConfigError if no weights are named, or `auto` finds none."""
    if config.model.pretrained == "auto":
        from neocog.zoo.weights import available, none_available  # imported late, with a dozen files

        if available(config.model.name) is None:
            raise ConfigError(
                "The recipe finetune starts from published weights.",
                received="auto, which finds none on this machine",
                fix=none_available(config.model.name),
            )
    if config.model.pretrained is None:
        raise ConfigError(
            "The recipe finetune starts from published weights.",
            received=f"none for {config.model.name}",
            fix="Set --model.pretrained torchvision, timm/NAME or a file; without weights, use the recipe auto.",
        )
