"""cnn-trad-fpool3: convolutional neural networks for small-footprint keyword spotting (Sainath & Parada, 2015).

Paper: Interspeech 2015, pages 1478-1482, table 1, which is followed here. The first kernel spans two thirds of the
time, and pooling is along frequency alone, in which speakers differ. A linear layer of 32 keeps the dense part small.
The paper counts weights without biases: 244.2K for 4 classes.

Tang & Lin's PyTorch form (https://arxiv.org/abs/1710.06554) adds dropout, and reads the 101 frames of a whole second.

Shapes (N batch, C channels, K classes; frames in time x bands of frequency):

    stem      (N, C, 32, 40)  -> (N, 64, 13, 11)    convolution 20x8, ReLU, max pooling 1x3
    stage     (N, 64, 13, 11) -> (N, 64, 4, 8)      convolution 10x4, ReLU
    head      (N, 64, 4, 8)   -> (N, K)             linear 32, dense 128, K
"""

from torch import nn

from neocog.errors import GeometryError
from neocog.zoo.network import Network

__all__ = ["SpeechCNN"]


class SpeechCNN(Network):
    """Two convolutions, a linear and a dense layer, over `frames` times 40 bands of a log-mel spectrogram.

    Raises GeometryError for fewer than 29 frames.
    """

    def __init__(self, *, in_channels: int = 1, num_classes: int = 12, frames: int = 32) -> None:
        super().__init__()
        if frames < 29:
            raise GeometryError(
                "The kernels span 29 frames.", received=f"frames={frames}", fix="Use 29 frames or more."
            )
        self.stem = nn.Sequential(nn.Conv2d(in_channels, 64, (20, 8)), nn.ReLU(), nn.MaxPool2d((1, 3)))
        self.stages = nn.Sequential(nn.Sequential(nn.Conv2d(64, 64, (10, 4)), nn.ReLU()))
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64 * (frames - 28) * 8, 32, bias=False),  # the bias of the next layer serves for both
            nn.Linear(32, 128), nn.ReLU(),
            nn.Linear(128, num_classes),
        )  # fmt: skip
