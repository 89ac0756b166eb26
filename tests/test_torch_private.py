"""Each private name of torch that Neocog uses does here what Neocog relies on."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils.weight_norm import WeightNorm

from neocog import torch_private
from neocog.torch_private import (
    BatchNormBase,
    NormBase,
    OpOverload,
    SkipsOnDevice,
    TorchDispatchMode,
    check_rank,
    default_store,
    drop_guards,
    foreach_add,
    foreach_add_,
    foreach_addcmul_,
    foreach_clamp_max_,
    foreach_clamp_min_,
    foreach_copy_,
    foreach_div,
    foreach_div_,
    foreach_lerp_,
    foreach_mul_,
    foreach_norm,
    foreach_sqrt_,
    foreach_sub_,
    fused_conv2d,
    has_amx_tiles,
    has_avx512_bf16,
    has_mkldnn_bf16,
    keep_hooks,
    mark_dynamic,
    own_tensors,
    pack_filters,
    read_scaler,
    read_skip,
    restore_scaler,
    schema_arguments,
    step_unless,
    storage_id,
    tree_leaves,
    tree_map_only,
    unwrap_compiled,
)


def lists(*values):
    return [torch.tensor([float(value), 2.0 * value]) for value in values]


def numbers(tensors):
    return [tensor.tolist() for tensor in tensors]


def test_every_name_has_a_test():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in torch_private.__all__ if text.count(name) < 2] == []


def test_foreach_add_adds_lists_with_a_factor():
    assert numbers(foreach_add(lists(1, 2), lists(1, 1), alpha=0.5)) == [[1.5, 3.0], [2.5, 5.0]]
    tensors = lists(1, 2)
    foreach_add_(tensors, 1)
    foreach_add_(tensors, lists(1, 1), alpha=2)
    assert numbers(tensors) == [[4.0, 7.0], [5.0, 9.0]]


def test_foreach_sub_and_mul_take_lists_and_numbers():
    tensors = lists(3, 4)
    foreach_sub_(tensors, lists(1, 1))
    foreach_mul_(tensors, 2)
    foreach_mul_(tensors, [torch.tensor(1.0), torch.tensor(10.0)])
    assert numbers(tensors) == [[4.0, 8.0], [60.0, 120.0]]


def test_foreach_div_divides_by_lists():
    assert numbers(foreach_div(lists(4), [torch.tensor(2.0)])) == [[2.0, 4.0]]
    tensors = lists(4)
    foreach_div_(tensors, lists(2))
    assert numbers(tensors) == [[2.0, 2.0]]


def test_foreach_addcmul_adds_a_product():
    tensors = lists(1)
    foreach_addcmul_(tensors, lists(2), lists(3), 0.5)
    assert numbers(tensors) == [[4.0, 14.0]]


def test_foreach_clamp_limits_both_ways():
    tensors = lists(1)
    foreach_clamp_min_(tensors, 1.5)
    foreach_clamp_max_(tensors, 1.75)
    assert numbers(tensors) == [[1.5, 1.75]]


def test_foreach_lerp_and_copy_move_in_place():
    tensors = lists(0)
    foreach_lerp_(tensors, lists(4), 0.25)
    assert numbers(tensors) == [[1.0, 2.0]]
    foreach_copy_(tensors, lists(7))
    assert numbers(tensors) == [[7.0, 14.0]]


def test_foreach_sqrt_and_norm():
    tensors = [torch.tensor([9.0, 16.0])]
    foreach_sqrt_(tensors)
    assert numbers(tensors) == [[3.0, 4.0]]
    assert foreach_norm(tensors)[0].item() == 5
    half = foreach_norm([torch.tensor([3.0, -4.0]).bfloat16()], math.inf, dtype=torch.float32)[0]
    assert half.item() == 4 and half.dtype == torch.float32


def test_instruction_sets_are_told_as_yes_or_no():
    assert isinstance(has_amx_tiles(), bool)
    assert isinstance(has_avx512_bf16(), bool)
    assert isinstance(has_mkldnn_bf16(), bool)


def test_default_store_is_the_one_of_the_process_group(tmp_path):
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path}/store", rank=0, world_size=1)
    try:
        default_store().set("key", "value")
        assert default_store().get("key") == b"value"
    finally:
        torch.distributed.destroy_process_group()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_mark_dynamic_is_taken_by_the_compiler():
    batch = torch.zeros(3, 2)
    mark_dynamic(batch, 0)
    assert batch._dynamo_weak_dynamic_indices == {0}


def test_scaler_is_restored_with_its_count_of_good_steps():
    scaler = torch.amp.GradScaler("cpu")
    restore_scaler(scaler, 512.0, 7)
    assert read_scaler(scaler) == (512.0, 7)


@pytest.mark.parametrize("kind", ["sgd", "adam", "adamw"])
def test_step_unless_changes_nothing_if_the_flag_is_set(kind):
    make = {"sgd": lambda p: torch.optim.SGD(p, 0.1, momentum=0.9, nesterov=True, fused=True),
            "adam": lambda p: torch.optim.Adam(p, 0.1, fused=True),
            "adamw": lambda p: torch.optim.AdamW(p, 0.1, fused=True)}[kind]  # fmt: skip
    skipped, plain = (nn.Parameter(torch.tensor([1.0, 2.0])) for _ in range(2))
    optimizers = [make([skipped]), make([plain])]
    for step in range(3):
        for parameter, optimizer in zip((skipped, plain), optimizers, strict=True):
            parameter.grad = torch.tensor([0.5, -1.0]) * (step + 1)
            step_unless(optimizer, torch.tensor(0.0)) if parameter is skipped else optimizer.step()
    assert torch.equal(skipped, plain), "a flag of 0 changes no bit"
    state = {key: value.clone() for key, value in optimizers[0].state[skipped].items() if torch.is_tensor(value)}
    before = skipped.detach().clone()
    skipped.grad = torch.full((2,), torch.nan)
    step_unless(optimizers[0], torch.tensor(1.0))
    assert torch.equal(skipped, before)
    assert all(torch.equal(optimizers[0].state[skipped][key], value) for key, value in state.items())
    assert read_skip(optimizers[0]) is None, "the flag is for one step"


def test_grad_scaler_leaves_the_decision_to_an_optimiser_that_skips_on_the_device():
    class Flagged(SkipsOnDevice, torch.optim.SGD):
        def step(self, closure=None):
            flags.append(read_skip(self).item())

    flags = []
    parameter = nn.Parameter(torch.ones(1))
    optimizer, scaler = Flagged([parameter], 0.1), torch.amp.GradScaler("cpu", init_scale=2.0)
    for gradient in (1.0, math.inf):
        parameter.grad = torch.tensor([gradient])
        scaler.scale(torch.ones(1))
        scaler.unscale_(optimizer)
        scaler.step(optimizer)
        scaler.update()
    assert flags == [0.0, 1.0]


def test_bases_of_norms_are_those_of_batch_norm_and_instance_norm():
    assert isinstance(nn.BatchNorm2d(3), BatchNormBase) and issubclass(nn.SyncBatchNorm, BatchNormBase)
    assert isinstance(nn.InstanceNorm2d(3), NormBase) and not isinstance(nn.InstanceNorm2d(3), BatchNormBase)


def test_check_rank_refuses_another_number_of_axes():
    check_rank(nn.BatchNorm2d(3), torch.zeros(1, 3, 2, 2))
    with pytest.raises(ValueError, match="expected 4D input"):
        check_rank(nn.BatchNorm2d(3), torch.zeros(1, 3, 2))


def test_own_tensors_are_parameters_buffers_and_attributes():
    norm = nn.BatchNorm1d(2)
    norm.extra = torch.zeros(5)
    found = [value for value in own_tensors(norm) if torch.is_tensor(value)]
    assert any(value is norm.weight for value in found)
    assert any(value is norm.running_mean for value in found)
    assert any(value is norm.extra for value in found)


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_keep_hooks_drops_all_but_those_that_make_weights():
    layer = nn.utils.weight_norm(nn.Linear(2, 2))
    called = []
    layer.register_forward_hook(lambda *_: called.append("forward"))
    layer.register_forward_pre_hook(lambda *_: called.append("pre"))
    layer.register_full_backward_hook(lambda *_: called.append("backward"))
    layer.register_full_backward_pre_hook(lambda *_: called.append("backward pre"))
    keep_hooks(layer, (WeightNorm,))
    layer(torch.zeros(1, 2, requires_grad=True)).sum().backward()
    assert called == []
    assert layer.weight_g.grad is not None, "the weight was made from its parameters"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_unwrap_compiled_gives_the_module_back():
    model = nn.Linear(2, 2)
    assert unwrap_compiled(torch.compile(model)) is model
    assert unwrap_compiled(model) is model


def test_dispatch_mode_sees_operators_with_their_schemas():
    seen = []

    class Seen(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(func)
            return func(*args, **(kwargs or {}))

    with Seen():
        torch.zeros(2).add_(1)
    adding = seen[-1]
    assert isinstance(adding, OpOverload)
    arguments = schema_arguments(adding)
    assert [argument.name for argument in arguments] == ["self", "other", "alpha"]
    assert [bool(argument.is_write) for argument in arguments] == [True, False, False]
    assert arguments[2].default_value == 1


def test_storage_id_is_the_same_exactly_for_shared_memory():
    tensor = torch.zeros(4)
    assert storage_id(tensor) == storage_id(tensor[1:].view(3, 1))
    assert storage_id(tensor) != storage_id(tensor.clone())


def test_tree_functions_go_through_nested_containers():
    tree = {"a": [1, (2, None)], "b": 3.0}
    assert [leaf for leaf in tree_leaves(tree) if leaf is not None] == [1, 2, 3.0]
    assert tree_map_only(int, lambda value: -value, tree) == {"a": [-1, (-2, None)], "b": 3.0}


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="needs oneDNN")
@pytest.mark.parametrize("activation", ["none", "relu", "hardtanh", "swish"])
def test_fused_conv2d_and_pack_filters(activation):
    functions = {"none": nn.Identity(), "relu": nn.ReLU(), "hardtanh": nn.ReLU6(), "swish": nn.SiLU()}
    conv, images = nn.Conv2d(4, 6, 3, stride=2, padding=1, groups=2), torch.randn(2, 4, 8, 8)
    called = (activation, [0.0, 6.0] if activation == "hardtanh" else [])
    with torch.inference_mode():
        plain, packed = conv(images), pack_filters(conv, images.shape)
        torch.testing.assert_close(fused_conv2d(images, packed, conv, called), functions[activation](plain))
        if activation in ("none", "relu"):
            added = torch.randn_like(plain)
            expected = functions[activation](plain + added)
            torch.testing.assert_close(fused_conv2d(images, packed, conv, called, added), expected)


def test_drop_guards_leaves_no_condition_on_sizes():
    class Halves(nn.Module):
        def forward(self, values: torch.Tensor) -> torch.Tensor:
            return values[:, : torch.sym_max(values.shape[1] - 4, 0)]

    shapes = ({1: torch.export.Dim.DYNAMIC},)
    program = torch.export.export(Halves(), (torch.zeros(2, 9),), dynamic_shapes=shapes)
    drop_guards(program)
    assert [program.module()(torch.zeros(2, size)).shape[1] for size in (9, 3)] == [5, 0]
