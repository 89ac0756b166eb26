import io

import pytest
import torch
from safetensors.torch import load, save

from neocog.errors import CheckpointError
from neocog.training.tensor_file import NAMES, raw, write_tensors


def written(tensors, metadata):
    file = io.BytesIO()
    write_tensors(file, tensors, metadata)
    return file.getvalue()


def test_the_bytes_are_those_of_safetensors():
    generator = torch.Generator().manual_seed(0)
    tensors = {
        f"{place}/é": torch.randint(0, 2, (3, 5), generator=generator).to(dtype) for place, dtype in enumerate(NAMES)
    }
    tensors |= {"none": torch.zeros(0, 4), "one": torch.tensor(3), 'q"\\': torch.ones(1)}
    metadata = {"neocog": '{"x": "é\\n"}'}
    assert written(tensors, metadata) == save(tensors, metadata)


def test_any_memory_layout_is_written_row_by_row():
    values = torch.arange(120.0).reshape(2, 3, 4, 5)
    for tensor in (
        values.to(memory_format=torch.channels_last),
        values.transpose(0, 3),
        values[:, 1:],
        values.expand(2, 3, 4, 5),
    ):
        assert bytes(raw(tensor)) == tensor.contiguous().numpy().tobytes()
        assert torch.equal(load(written({"x": tensor}, {}))["x"], tensor)


def test_contiguous_values_are_not_copied():
    values = torch.zeros(3)
    view = raw(values)
    values += 1
    assert bytes(view) == values.numpy().tobytes()


def test_a_type_that_the_format_does_not_know_is_named():
    with pytest.raises(CheckpointError, match=r"A checkpoint can hold U64, .*BOOL only\. Received: torch\.complex128"):
        written({"x": torch.zeros(1, dtype=torch.complex128)}, {})
