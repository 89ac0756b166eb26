"""The cells of the neocognitron that find features, and learn without a teacher which."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from neocog.layers.c_cells import bell

__all__ = ["SCells"]


class SCells(nn.Module):
    """Planes of cells that respond where the input looks like what their plane has learnt.

        u[k] = r phi[(1 + sum(a[k] x)) / (1 + r / (1 + r) b[k] v) - 1]      v = sqrt(sum(c x**2))

    The sums go over a window of all input planes; phi is the rectifier, c a bell that sums to 1. Excitation is divided
    by inhibition ("shunting"), for which the V-cell v measures how strong the input is. As b = sqrt(sum(a**2 / c)),
    b v is the most that an input of this strength can excite: sum(a x) / (b v) is the cosine of the angle between what
    is seen and what was learnt, and below the threshold r / (1 + r) the cell is silent.

    In learning, cells compete: only the winner of a neighbourhood has its connections strengthened, in proportion to
    what they carry, and where every cell is silent a new plane begins. The higher threshold in learning makes cells
    specialists; the lower one in recognition lets several of them describe one thing.
    Shapes: (N, C, H, W) -> (N, K, H + 2p - k + 1, W + 2p - k + 1). Planes that have learnt nothing are silent. There
    are no gradients to follow, so a and b are buffers.
    Sources: Fukushima 1980; its cells learn b beside a, and its planes begin with weak random connections, in place of
    which b is here computed from a, and planes begin when they are needed, as in Fukushima 2003. Two thresholds:
    Fukushima and Tanigawa 1996.

    >>> cells = SCells(1, num_planes=8, kernel_size=3)
    >>> upright = torch.eye(5)[None, None, [2] * 5]
    >>> cells.learn(upright)
    >>> [round(cells(line)[0, 0, 1, 1].item(), 2) for line in (upright, upright.mT)], cells.num_used
    ([0.99, 0.0], 1)
    """

    REINFORCEMENT = 1000.0  # q: how far a win strengthens connections; so large that one win teaches all of a pattern
    NEIGHBOURHOOD = 3  # cells of all planes in a window so wide compete with each other
    FAINT = 0.3  # of the strongest input in the image; what is weaker is not worth a plane of its own

    def __init__(
        self,
        in_channels: int,
        num_planes: int,
        kernel_size: int,
        padding: int = 0,
        *,
        threshold: float = 0.5,
        learning_threshold: float = 0.8,
    ) -> None:
        super().__init__()
        self.padding, self.threshold, self.learning_threshold = padding, threshold, learning_threshold
        window = bell(kernel_size, sigma=kernel_size / 2)
        self.register_buffer("a", torch.zeros(num_planes, in_channels, kernel_size, kernel_size))
        self.register_buffer("b", torch.zeros(num_planes))
        self.register_buffer("c", window / (window.sum() * in_channels), persistent=False)
        self.a: Tensor
        self.b: Tensor
        self.c: Tensor

    def forward(self, maps: Tensor) -> Tensor:
        return self.respond(maps, self.threshold)

    def respond(self, maps: Tensor, threshold: float) -> Tensor:
        """The response at this threshold."""
        excitation = F.conv2d(maps, self.a, padding=self.padding)
        inhibition = self.b[:, None, None] * self.strength(maps)
        return threshold / (1 - threshold) * F.relu((1 + excitation) / (1 + threshold * inhibition) - 1)

    def strength(self, maps: Tensor) -> Tensor:
        """The V-cells: how strong the input is around each position; (N, C, H, W) -> (N, 1, h, w)."""
        energy = maps.square().sum(1, keepdim=True)
        return F.relu(F.conv2d(energy, self.c[None, None], padding=self.padding)).sqrt()

    @property
    def num_used(self) -> int:
        """How many planes have learnt something."""
        return int(self.b.count_nonzero())

    @torch.no_grad()
    def learn(self, maps: Tensor) -> None:
        """Strengthen the winners for one image, (1, C, H, W), and begin a plane for the strongest unknown thing."""
        responses, strength = self.respond(maps, self.learning_threshold)[0], self.strength(maps)[0]
        best_nearby = F.max_pool2d(responses.amax(0, keepdim=True), self.NEIGHBOURHOOD, 1, self.NEIGHBOURHOOD // 2)
        # All cells of a plane share their connections, so one winner in each plane is enough: its strongest.
        wins, places = (responses * (responses == best_nearby)).flatten(1).max(1)
        winners = wins.nonzero().flatten()
        patches = self.patches(maps)
        self.reinforce(winners, patches[places[winners]])
        unknown = strength * (best_nearby == 0)
        if unknown.max() > self.FAINT * strength.max() and self.num_used < len(self.b):
            self.reinforce(self.num_used, patches[unknown.argmax()])

    def patches(self, maps: Tensor) -> Tensor:
        """The inputs of the cells at each position; (1, C, H, W) -> (h * w, C, k, k)."""
        return F.unfold(maps, self.c.shape, padding=self.padding)[0].T.reshape(-1, *self.a.shape[1:])

    def reinforce(self, planes: Tensor | int, patches: Tensor) -> None:
        """Add what each plane's winner sees to the plane's connections; (P,) planes, (P, C, k, k) patches."""
        self.a[planes] += self.REINFORCEMENT * self.c * patches
        self.b[planes] = (self.a[planes].square() / self.c).sum((-3, -2, -1)).sqrt()

    def extra_repr(self) -> str:
        num_planes, in_channels, kernel_size, _ = self.a.shape
        return f"{in_channels}, {num_planes}, kernel_size={kernel_size}, padding={self.padding}"
