"""A few hundred to a few thousand images, without published weights."""

from neocog.data import AugmentConfig, DataConfig, ImageConfig
from neocog.runs import RunConfig
from neocog.tasks import LossConfig
from neocog.training import OptimizerConfig, ScheduleConfig, TrainConfig
from neocog.zoo import ModelConfig

__all__ = ["from_scratch_small"]


def from_scratch_small(data: str) -> RunConfig:
    """ResNet-18 from scratch: small batches, strong decay and augmentation, many epochs, and averaged weights.

    Images are resized to 128x128, a third of the work of 224x224; set `--image.size` to 32 or 64 for smaller ones.
    Flips and colour changes suit photographs: set `--augment.flip 0` if left and right differ, as in text. If published
    weights suit the images, `finetune` is the usual choice.
    Source: Brigato et al. 2021, "Tune it or don't use it": on little data a plain network with cross-entropy and a
    cosine, whose rate, decay and batch size are chosen well, beats most methods made for little data. TrivialAugment:
    Müller & Hutter 2021; CutMix: Yun et al. 2019. The values are ours and were not tuned on any data.
    """
    return RunConfig(
        data=DataConfig(source=data),
        image=ImageConfig(size=(128, 128)),
        model=ModelConfig(name="resnet18"),
        augment=AugmentConfig(crop_area=0.35, flip=0.5, policy="trivialaugment", cutmix=1.0),
        loss=LossConfig(label_smoothing=0.1),
        optimizer=OptimizerConfig(lr=0.02, momentum=0.9, weight_decay=2e-3, decay="weights"),
        schedule=ScheduleConfig(name="cosine", warmup_epochs=5),
        train=TrainConfig(epochs=200, batch_size=32, ema_decay=0.999),
    )
