"""Plans against published figures, torch's own counter, and the network before and after."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import prune
from torch.utils.flop_counter import FlopCounterMode

from neocog import create_model
from neocog.errors import PlanError
from neocog.planning import plan
from tests.support.networks import alexnet, resnet, vgg
from tests.support.random_network import RandomNet

IMAGE = (3, 224, 224)


def meta(build, *arguments):
    with torch.device("meta"):
        return build(*arguments)


PUBLISHED = {
    # name: builder, parameters, MACs as the papers and their reference implementations count them
    "alexnet": (lambda: meta(alexnet), 61_100_840, 714_188_480),
    "vgg16": (lambda: meta(vgg, (2, 2, 3, 3, 3)), 138_357_544, 15_470_264_320),
    "vgg19": (lambda: meta(vgg, (2, 2, 4, 4, 4)), 143_667_240, 19_632_062_464),
    "resnet50": (lambda: meta(resnet, (3, 4, 6, 3)), 25_557_032, 4_089_184_256),
    "resnet101": (lambda: meta(resnet, (3, 4, 23, 3)), 44_549_160, 7_801_405_440),
    "resnet152": (lambda: meta(resnet, (3, 8, 36, 3)), 60_192_808, 11_513_626_624),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_parameters_and_multiplications(name):
    build, parameters, macs = PUBLISHED[name]
    found = plan(build(), IMAGE)
    assert (found.parameters, found.macs, found.flops) == (parameters, macs, 2 * macs)
    assert sum(row.parameters for row in found.rows) == parameters
    assert found.output_shapes == ((1000,),)


@pytest.mark.parametrize(
    ("name", "channels", "count"),
    [("lenet5", 1, 60_000), ("lenet5_relu", 1, 61_706), ("tutorial_cifar10", 3, 62_006)],
)
def test_networks_with_weights_are_planned_as_well_as_on_the_meta_device(name, channels, count):
    found = plan(create_model(name), (channels, 32, 32))
    assert found.parameters == count
    assert sum(row.parameters for row in found.rows) == count
    assert found.unused == {}


class Mixed(nn.Module):
    """Functional convolution, a product with a bare parameter, a shared layer, attention, a transposed convolution."""

    def __init__(self):
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(8, 3, 3, 3))
        self.shared = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, bias=False)
        self.table = nn.Parameter(torch.randn(4, 6))
        self.norm = nn.BatchNorm2d(8)
        self.idle = nn.Linear(3, 2)
        self.attention = nn.MultiheadAttention(6, 2, batch_first=True)

    def forward(self, images):
        maps = F.conv2d(images, self.kernel, padding=1)
        maps = self.shared(F.relu(self.norm(self.shared(maps))))
        maps = self.up(maps)
        tokens = maps.flatten(2).transpose(1, 2) @ self.table
        tokens, _ = self.attention(tokens, tokens, tokens)
        return tokens.mean(1)


def test_functional_operations_and_shared_modules_have_rows():
    model = Mixed()
    found = plan(model, (3, 8, 8))
    convs = [row for row in found.rows if row.operator == "conv2d"]
    assert [row.name for row in convs] == ["", "shared", "shared"]
    assert [row.parameters for row in convs] == [216, 584, 0]
    assert [row.shared for row in convs] == [0, 0, 584]
    assert [row.macs for row in convs] == [216 * 64, 576 * 64, 576 * 64]
    product = next(row for row in found.rows if row.operator == "linear")
    assert (product.name, product.parameters, product.macs) == ("", 24, 24 * 256)
    assert found.parameters == sum(p.numel() for p in model.parameters())
    assert found.unused == {"idle.weight": 6, "idle.bias": 2}


def test_totals_are_those_of_torchs_counter_where_it_is_right():
    for model, shape in ((Mixed(), (3, 8, 8)), (meta(resnet, (1, 1, 1, 1)), (3, 64, 64)), (alexnet(), IMAGE)):
        with FlopCounterMode(display=False) as counter, torch.device("meta"):
            copy.deepcopy(model).to("meta").eval()(torch.empty(1, *shape))
        assert plan(model, shape).flops == counter.get_total_flops()


class Queries(nn.Module):
    """Learned queries, projected, meet the input: as in detection transformers."""

    def __init__(self):
        super().__init__()
        self.queries, self.project, self.embed = nn.Parameter(torch.randn(10, 8)), nn.Linear(8, 8), nn.Linear(3, 8)

    def forward(self, x):
        return self.project(self.queries) @ self.embed(x).mT


def test_products_of_parameters_alone_have_rows():
    model = Queries()
    with FlopCounterMode(display=False) as counter:
        model(torch.randn(1, 5, 3))
    found = plan(model, (5, 3))
    assert found.flops == counter.get_total_flops()
    assert [(row.name, row.parameters) for row in found.rows if row.macs] == [
        ("project", 80 + 72),
        ("embed", 32),
        ("", 0),
    ]
    assert found.rows[0].fields == () and str(found).count("no input") >= 1
    assert [row.operator for row in found.rows if row.macs] == ["linear", "linear", "matmul"]


@pytest.mark.filterwarnings("ignore:.*weight_norm:FutureWarning")
def test_hooks_that_make_weights_are_a_part_of_the_network():
    for wrap in (
        nn.utils.weight_norm,
        nn.utils.spectral_norm,
        lambda layer: prune.l1_unstructured(layer, "weight", 0.5),
    ):
        model = nn.Sequential(wrap(nn.Conv2d(1, 2, 3)))
        assert plan(model, (1, 7, 7)).unused == {}
        assert len(model[0]._forward_pre_hooks) == 1


class TimesVector(nn.Module):
    """A product of a matrix and a vector: 5 x 7 multiplications."""

    def __init__(self):
        super().__init__()
        self.vector = nn.Parameter(torch.randn(7))

    def forward(self, x):
        return x[0] @ self.vector


def test_where_torchs_counter_differs_it_leaves_out_products_with_vectors():
    """FlopCounterMode has no rule for aten.mv, so it counts nothing for what is 5 x 7 multiplications."""
    with FlopCounterMode(display=False) as counter:
        TimesVector()(torch.randn(1, 5, 7))
    assert counter.get_total_flops() == 0
    assert plan(TimesVector(), (5, 7)).macs == 35


def test_a_transposed_convolution_is_not_multiplied_by_its_stride_squared():
    layer = nn.ConvTranspose2d(8, 4, 4, stride=2, padding=1, bias=False)
    (row,) = plan(layer, (8, 16, 16)).rows
    assert row.operator == "conv_transpose2d"
    assert row.macs == 8 * 4 * 4 * 4 * 16 * 16
    wide = plan(nn.ConvTranspose2d(8, 4, 4, stride=4, bias=False), (8, 16, 16))
    assert wide.macs == row.macs


class Watched(nn.Module):
    """A network with all that planning could disturb."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.head = nn.Sequential(nn.ReLU(inplace=True), nn.Dropout(0.5))
        self.calls, self.seen, self.cached = 0, [], torch.ones(4, 1, 1)

    def forward(self, x):
        self.calls += 1
        self.seen.append(x.shape)
        self.cached = self.cached + 1
        return self.head(self.norm(self.conv(x))) * self.cached


def test_the_users_model_is_left_as_it_was():
    model = Watched()
    model.head.eval()
    fired = []
    model.conv.register_forward_hook(lambda *_: fired.append("forward"))
    model.norm.register_forward_pre_hook(lambda *_: fired.append("before"))
    model.conv.weight.grad = torch.ones_like(model.conv.weight)
    state = copy.deepcopy(model.state_dict())
    grad, weight = model.conv.weight.grad, model.conv.weight
    plan(model, (3, 8, 8))
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())
    assert model.conv.weight is weight and model.conv.weight.grad is grad and weight.device.type == "cpu"
    assert (model.calls, model.seen, model.cached.sum().item(), fired) == (0, [], 4, [])
    assert [m.training for m in (model, model.conv, model.norm, model.head, model.head[0])] == [
        True, True, True, False, False
    ]  # fmt: skip
    assert len(model.conv._forward_hooks) == len(model.norm._forward_pre_hooks) == 1


def test_planning_takes_no_memory_for_weights():
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    plan(meta(vgg, (2, 2, 4, 4, 4), 40_960), IMAGE)  # 11 GB of weights
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000


def saved_on_cpu(model, shape, batch):
    """Bytes that autograd really keeps, by its hooks, on real tensors."""
    owned = {t.untyped_storage().data_ptr() for t in (*model.parameters(), *model.buffers())}
    kept = {}

    def keep(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        result = model.train()(torch.randn(batch, *shape))
    del result
    return sum(t.untyped_storage().nbytes() for at, t in kept.items() if at not in owned) / batch


def test_training_memory_is_what_autograd_really_keeps():
    for model, shape in ((create_model("lenet5_relu"), (1, 32, 32)), (resnet((1, 1, 1, 1)), (3, 64, 64))):
        found = plan(model, shape)
        assert found.training_bytes == pytest.approx(saved_on_cpu(model, shape, 4), rel=0.01)


def test_inference_memory_is_that_of_the_fullest_moment():
    chain = nn.Sequential(nn.Conv2d(1, 4, 1), nn.ReLU(inplace=True), nn.Conv2d(4, 2, 1))
    assert plan(chain, (1, 10, 10)).inference_bytes == 4 * 100 * (4 + 2)

    class Skip(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 8, 1), nn.Conv2d(8, 4, 1)

        def forward(self, x):
            return x + self.b(self.a(x))

    assert plan(Skip(), (4, 10, 10)).inference_bytes == 4 * 100 * (4 + 8 + 4)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Conv2d(4, 8, 1), nn.Conv2d(4, 8, 1)

        def forward(self, x):
            return self.a(x), self.b(x)  # the first output lives to the end

    assert plan(Two(), (4, 10, 10)).inference_bytes == 4 * 100 * (4 + 8 + 8)


def test_activation_bytes_of_rows_leave_out_views_and_in_place_operations():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(inplace=True), nn.Flatten(), nn.Linear(256, 2))
    assert [row.activation_bytes for row in plan(model, (1, 10, 10)).rows] == [4 * 256, 0, 0, 8]


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")  # torch warns of itself
def test_a_compiled_network_is_planned_as_what_it_was():
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    assert [row.name for row in plan(torch.compile(model), (3, 8, 8)).rows] == ["0", "1"]


class Named(nn.Module):
    """Names devices, which a plan does not follow."""

    def forward(self, x):
        return x.cpu() + torch.zeros(1, device="cpu").to("cpu")


def test_devices_that_a_network_names_do_not_matter():
    assert plan(Named(), (3, 4)).output_shapes == ((3, 4),)


def test_types_of_input():
    tokens = nn.Sequential(nn.Embedding(50, 8), nn.Linear(8, 2))
    found = plan(tokens, (12,), dtype=torch.int64)
    assert found.output_shapes == ((12, 2),)
    assert found.rows[0].receptive_field == (1,)
    half = nn.Conv2d(3, 4, 3).to(torch.bfloat16)
    assert plan(half, (3, 8, 8)).rows[0].activation_bytes == 2 * 4 * 36


def test_one_and_three_dimensions():
    signal = nn.Sequential(nn.Conv1d(1, 4, 5, 2, 2), nn.MaxPool1d(2), nn.Conv1d(4, 4, 3, groups=4))
    found = plan(signal, (1, 100))
    assert found.rows[-1].receptive_field == (15,) and found.rows[-1].stride == (4,)
    assert found.rows[-1].detail == "3, depthwise"
    volume = plan(nn.Conv3d(1, 2, (3, 1, 5), dilation=(2, 1, 1)), (1, 9, 9, 9))
    assert volume.rows[0].receptive_field == (5, 1, 5)
    assert volume.rows[0].detail == "3x1x5, dilation 2x1x1"


def test_json_has_all_of_the_rows():
    import json

    found = plan(create_model("lenet5_relu"), (1, 32, 32))
    restored = json.loads(json.dumps(found.to_json()))
    assert restored["parameters"] == 61_706 and len(restored["rows"]) == len(found.rows)
    assert restored["rows"][0]["receptive_field"] == [5, 5]
    assert restored["rows"][-1]["whole_input"] == [True, True]


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


class Two(nn.Module):
    def forward(self, x, y):
        return x + y


class Broken(nn.Module):
    def forward(self, x):
        return x.nonsense


class Locked(nn.Module):
    def __init__(self):
        super().__init__()
        import threading

        self.lock = threading.Lock()


@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: plan(Branching(), (3, 8, 8)),
            r"A plan follows shapes, not values, and the network asks for what has none: ",
        ),
        (
            lambda: plan(nn.Sequential(Branching()), (3,)),
            r"not values, and 0 asks for what has none: .*before and after it",
        ),
        (
            lambda: plan(nn.LazyLinear(3), (3,)),
            r"Lazy layers have no shape.*Run the network once on a batch, then plan",
        ),
        (lambda: plan(torch.jit.trace(nn.ReLU(), torch.ones(1, 3)), (3,)), r"compiled by torch.jit can't be followed"),
        (lambda: plan(Locked(), (3,)), r"Locked holds something that can't be copied: cannot pickle '_thread.lock'"),
        (
            lambda: plan(Two(), (3,)),
            r"Two failed on an input of 3: TypeError: .* missing 1 required .*; wrap a network",
        ),
        (lambda: plan(nn.Sequential(Broken()), (3,)), r"0 failed on an input of 3: AttributeError: .*'nonsense'"),
        (lambda: plan(nn.Identity(), ()), r"without the batch: \(3, 224, 224\). Received: \(\)."),
        (lambda: plan(nn.Identity(), (3, 0)), r"Received: \(3, 0\)."),
        (lambda: plan(nn.Identity(), 5), r"without the batch: \(3, 224, 224\). Received: 5."),
        (lambda: plan(nn.Identity(), (True, 4)), r"Received: \(True, 4\)."),
        (
            lambda: plan(lambda x: x, (5,)),
            r"A plan is of an nn.Module. Received: function. Wrap a function in a module.",
        ),
        (lambda: plan(nn.ReLU(), (3,)).row("reul"), r"No row is called 'reul'. Known: ."),
        (lambda: plan(alexnet(), IMAGE).row("12", "conv"), r"No row is called '12' with operator 'conv'."),
        (
            lambda: (found := plan(nn.Conv2d(1, 2, 3), (1, 8, 8))).support(found.rows[0], (6, 0)),
            r"Received: \(6, 0\) for an output of \(2, 6, 6\) without its channels.",
        ),
    ],
)
def test_what_can_not_be_planned_is_said(call, message):
    with pytest.raises(PlanError, match=message):
        call()


def test_random_networks_keep_their_outputs_shape():
    for seed in range(5):
        net = RandomNet(seed)
        assert plan(net, (4, 13, 12)).output_shapes == (tuple(net(torch.zeros(1, 4, 13, 12).double()).shape[1:]),)
