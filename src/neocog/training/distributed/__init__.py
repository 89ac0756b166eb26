"""Training by several processes, one for each device, as if by one: same samples, same gradient, same figures.

torch.distributed does the work. What is here: finding the others, exact means over uneven parts, batch norm over the
global batch on any device, evaluation in which every sample counts once, and an end for all where one fails. Every
function works, and costs nothing, in a world of one.
"""

from neocog.training.distributed.exchange import (
    agree_stop,
    barrier,
    broadcast_buffers,
    broadcast_json,
    gather_json,
    on_first,
    same_everywhere,
    sum_everywhere,
)
from neocog.training.distributed.global_loss import loss_weight, scaled_loss
from neocog.training.distributed.guard import guarded
from neocog.training.distributed.parallel import distribute
from neocog.training.distributed.place import Place, find_place, first_host
from neocog.training.distributed.rows import gather_logits, my_rows
from neocog.training.distributed.statistics import combine_statistics
from neocog.training.distributed.sync_batch_norm import SyncBatchNorm, convert_batch_norms, unsynchronised
from neocog.training.distributed.world import World, is_one_of_several, join_world, leave_world

__all__ = [
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
    "find_place",
    "first_host",
    "gather_json",
    "gather_logits",
    "guarded",
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
