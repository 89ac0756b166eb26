"""What holds for every network of the catalogue."""

import ast
from pathlib import Path

import pytest
import torch
from torch import nn

import neocog.zoo.networks
from neocog import create_model, list_models
from neocog.planning import plan
from neocog.zoo import model_info, replace_head
from neocog.zoo.figures import count_figures, read_figures
from neocog.zoo.published import PUBLISHED

# Published numbers of parameters, in the papers or as counted for the weights that torchvision publishes.
PUBLISHED_COUNTS = {
    "lenet5": 60_000,
    "lenet5_relu": 61_706,
    "tutorial_cifar10": 62_006,
    "mnist1d_prince": 2_050,
    "mnist1d_greydanus": 5_210,
    "alexnet": 60_965_224,
    "alexnet_one_column": 61_100_840,
    "vgg11": 132_863_336,
    "vgg13": 133_047_848,
    "vgg16": 138_357_544,
    "vgg19": 143_667_240,
    "vgg11_bn": 132_868_840,
    "vgg13_bn": 133_053_736,
    "vgg16_bn": 138_365_992,
    "vgg19_bn": 143_678_248,
    "googlenet": 13_004_888,
    "inception_v3": 27_161_264,
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "resnet20_cifar": 269_722,
    "densenet121": 7_978_856,
    "densenet161": 28_681_000,
    "densenet169": 14_149_480,
    "densenet201": 20_013_928,
    "densenet100_12_cifar": 769_162,
    "squeezenet1_1": 1_235_496,
    "mobilenet_v2": 3_504_872,
    "shufflenet_v2": 2_278_604,
    "efficientnet_b0": 5_288_548,
    "efficientnet_lite0": 4_652_008,
    "efficientnet_lite1": 5_416_680,
    "efficientnet_lite2": 6_092_072,
    "convnext_tiny": 28_589_128,
}
# One network of each family, at the smallest input that its tests use.
SMALL = {
    "lenet5": (1, 32, 32),
    "lenet5_relu": (1, 32, 32),
    "alexnet": (3, 227, 227),
    "alexnet_one_column": (3, 63, 63),
    "vgg11_bn": (3, 32, 32),
    "googlenet": (3, 64, 64),
    "inception_v3": (3, 107, 107),
    "resnet18": (3, 32, 32),
    "plain18": (3, 32, 32),
    "resnet20_cifar": (3, 32, 32),
    "preact_resnet18": (3, 32, 32),
    "nf_resnet50": (3, 32, 32),
    "densenet100_12_cifar": (3, 32, 32),
    "squeezenet1_1": (3, 32, 32),
    "mobilenet_v2": (3, 32, 32),
    "shufflenet_v2": (3, 32, 32),
    "efficientnet_b0": (3, 32, 32),
    "efficientnet_lite0": (3, 32, 32),
    "convnext_tiny": (3, 32, 32),
    "speednet": (3, 32, 32),
    "unet": (1, 32, 32),
    "unet_small": (3, 32, 32),
    "unet_resnet18": (3, 32, 32),
    "unet_lite0": (3, 32, 32),
    "fcn8s": (3, 32, 32),
    "segnet": (3, 32, 32),
    "centernet": (3, 64, 64),
    "centernet_lite0": (3, 64, 64),
    "mnist1d_greydanus": (1, 40),
    "text_cnn": (20,),
    "char_cnn_small": (1014,),
    "speech_cnn": (1, 32, 40),
    "speech_res8": (1, 101, 40),
    "speech_dscnn_s": (1, 49, 10),
    "time_series_fcn": (1, 50),
    "time_series_resnet": (1, 50),
    "inception_time": (1, 50),
    "spectrum_cnn": (1, 50),
    "unet_1d": (1, 64),
    "go_policy": (48, 19, 19),
    "go_residual": (17, 19, 19),
    "neocognitron": (1, 28, 28),
}
# Compiled as one graph, but not to machine code, which takes minutes for so many layers.
DEEP = {
    "googlenet",
    "inception_v3",
    "nf_resnet50",
    "densenet100_12_cifar",
    "efficientnet_b0",
    "efficientnet_lite0",
    "convnext_tiny",
}


def inputs_of(name, num=2, shape=None):
    found = model_info(name)
    shape = shape or SMALL[name]
    if found.modality == "text":
        return torch.randint(0, found.in_channels, (num, *shape))
    return torch.randn(num, *shape)


def tensors(outputs):
    """The tensors in whatever a network gives."""
    if isinstance(outputs, torch.Tensor):
        return [outputs]
    return [tensor for part in outputs if not isinstance(part, float) for tensor in tensors(part)]


@pytest.mark.parametrize("name", list_models())
def test_figures_and_outputs_are_what_is_counted_on_the_meta_device(name, monkeypatch):
    plans = []
    monkeypatch.setattr("neocog.zoo.figures.plan", lambda *args, **kw: plans.append(plan(*args, **kw)) or plans[-1])
    figures = count_figures(name)
    assert figures == read_figures()[name]
    assert PUBLISHED_COUNTS.get(name, figures.parameters) == figures.parameters
    found, (planned,) = model_info(name), plans
    if found.task in ("classification", "next move"):
        assert planned.output_shapes == ((found.num_classes,),)


def test_every_network_is_counted_and_every_published_name_exists():
    assert read_figures().keys() == set(list_models())
    assert PUBLISHED.keys() <= set(list_models())
    assert PUBLISHED_COUNTS.keys() <= set(list_models())


def test_every_family_is_tried_in_small():
    def file_of(name):
        build = model_info(name).build
        return getattr(build, "func", build).__module__

    assert {file_of(name) for name in SMALL} == {file_of(name) for name in list_models()}
    assert all(type(create_model_on_meta(name)).__module__ == file_of(name) for name in SMALL)


def create_model_on_meta(name, **options):
    with torch.device("meta"):
        return create_model(name, **options)


@pytest.mark.parametrize("name", SMALL)
def test_forward_and_backward(name):
    torch.manual_seed(0)
    model = create_model(name)
    if not model_info(name).trainable:
        assert not any(p.requires_grad for p in model.parameters())
        model.learn(torch.rand(20, 1, 28, 28), torch.arange(20) % 10, num_unlabelled=5)
        assert model(inputs_of(name)).isfinite().all()
        return
    outputs = tensors(model(inputs_of(name)))
    sum(tensor.float().square().mean() for tensor in outputs).backward()
    for key, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), key


@pytest.mark.parametrize("name", SMALL)
def test_it_exports_and_the_exported_program_computes_the_same(name):
    model, inputs = create_model(name).eval(), inputs_of(name)
    program = torch.export.export(model, (inputs,)).module()
    for expected, received in zip(tensors(model(inputs)), tensors(program(inputs)), strict=True):
        torch.testing.assert_close(received, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of torch's compiler about itself
@pytest.mark.parametrize("name", SMALL)
def test_it_compiles_and_the_compiled_network_computes_the_same(name):
    torch._dynamo.reset()
    model, inputs = create_model(name).eval(), inputs_of(name)
    backend = "aot_eager" if name in DEEP else "inductor"
    compiled = torch.compile(model, fullgraph=True, backend=backend)
    with torch.inference_mode():
        expected, received = tensors(model(inputs)), tensors(compiled(inputs))
    for one, other in zip(expected, received, strict=True):
        torch.testing.assert_close(other, one, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", SMALL)
def test_parts_are_named_and_features_are_given(name):
    model, inputs = create_model(name).eval(), inputs_of(name)
    assert isinstance(model.stages, nn.Sequential)
    assert {"stem", "stages", "head"} <= {child for child, _ in model.named_children()}
    with torch.inference_mode():
        maps = model.features(inputs)
    assert len(maps) == len(model.stages)
    assert all(part.shape[0] == len(inputs) for part in maps)


@pytest.mark.parametrize("name", list_models())
def test_other_classes_and_channels_are_a_matter_of_two_layers(name):
    if model_info(name).modality == "board" or not model_info(name).trainable:
        pytest.skip("outputs are the points of the board, or cells that learn what they stand for")
    model = create_model_on_meta(name)
    assert model.build_spec.class_keys() and model.build_spec.channel_keys()
    num_classes = model_info(name).num_classes
    with torch.device("meta"):
        again = replace_head(model, num_classes + 2)
    shapes = {
        key: tensor.shape
        for key, tensor in create_model_on_meta(name, num_classes=num_classes + 2).state_dict().items()
    }
    assert {key: tensor.shape for key, tensor in again.state_dict().items()} == shapes


@pytest.mark.parametrize("name", list_models())
def test_the_same_seed_gives_the_same_network(name):
    if count_parameters(name) > 5e6:
        pytest.skip("large ones take seconds to fill with values; their files' small variants are tried")
    states = []
    for _ in range(2):
        torch.manual_seed(1)
        states.append(create_model(name).state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def count_parameters(name):
    return read_figures()[name].parameters


def test_network_files_are_short_and_tell_shapes():
    for path in Path(neocog.zoo.networks.__file__).parent.glob("*.py"):
        if path.name == "__init__.py":
            continue
        text = path.read_text()
        docstring = ast.get_docstring(ast.parse(text))
        assert text.count("\n") <= 160, path.name
        assert all(f"    {part}" in f"\n{docstring}" for part in ("stem", "stage", "head")), path.name
