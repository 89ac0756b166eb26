"""Training by several processes, one per device, as if by one: same samples, same gradient, same metrics.

torch.distributed does the work. Added here: finding the other processes, exact means over uneven parts, batch norm
over the global batch on any device, evaluation in which every sample counts once, and an end for all if one fails.
Every function also works in a single process, where it costs nothing.
"""

from neocog.training.distributed.exchange import (
    agree_stop,
    barrier,
    broadcast_buffers,
    broadcast_json,
    gather_json,
    gather_logits,
    my_rows,
    on_first,
    same_everywhere,
    sum_everywhere,
)
from neocog.training.distributed.guard import fail_together
from neocog.training.distributed.parallel import distribute, loss_weight, scaled_loss
from neocog.training.distributed.place import Place, find_place, first_host
from neocog.training.distributed.statistics import combine_statistics
from neocog.training.distributed.sync_batch_norm import SyncBatchNorm, convert_batch_norms, unsynchronised
from neocog.training.distributed.world import SINGLE_PROCESS, World, is_one_of_several, join_world, leave_world

__all__ = [
    "SINGLE_PROCESS",
    "Place",
    "SyncBatchNorm",
    "World",
    "agree_stop",
    "barrier",
    "broadcast_buffers",
    "broadcast_json",
    "combine_statistics",
    "convert_batch_norms",
    "distribute",
    "fail_together",
    "find_place",
    "first_host",
    "gather_json",
    "gather_logits",
    "is_one_of_several",
    "join_world",
    "leave_world",
    "loss_weight",
    "my_rows",
    "on_first",
    "same_everywhere",
    "scaled_loss",
    "sum_everywhere",
    "unsynchronised",
]
