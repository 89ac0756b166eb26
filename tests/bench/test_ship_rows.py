"""What the rows of explanations, engines and servers rely on: they notice if two sides don't compute the same."""

import socket
import threading

import numpy as np
import pytest
import torch

from neocog.explaining.attribution import Attribution
from rows.explaining import agreement
from rows.textures import Case, Files
from serve_apps.clients import load_server

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def test_maps_that_differ_are_noticed():
    values = torch.rand(8, 8, generator=torch.Generator().manual_seed(0))
    found = Attribution.__new__(Attribution)
    object.__setattr__(found, "map", values)
    assert agreement(found, values.numpy()) == "rank correlation of the maps 1.000"
    with pytest.raises(AssertionError, match=r"the maps differ: rank correlation -1.00"):
        agreement(found, -values)


def test_a_mask_has_the_textures_of_its_image(tmp_path):
    from PIL import Image

    files = Files.write(tmp_path / "files", Case("unet_lite0", dense=True), 3, seed=0)
    assert files.labels.shape == (3, 224, 224)
    roughness = {}
    for path, mask in zip(files.paths, files.labels, strict=True):
        light = np.asarray(Image.open(path).convert("L").resize((224, 224)), np.float64)
        for rows in (slice(4, 108), slice(116, 220)):
            for columns in (slice(4, 108), slice(116, 220)):
                (kind,) = set(mask[rows, columns].flatten().tolist())
                roughness.setdefault(kind, []).append(np.abs(np.diff(light[rows, columns])).mean())
    smooth, medium, fine, coarse = (roughness[kind] for kind in range(4))
    assert max(coarse + smooth) < min(medium)
    assert max(medium) < min(fine)
    assert np.mean(coarse) < np.mean(smooth)


def test_clients_take_an_answer_in_parts():
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            connection, _ = listener.accept()
            with connection:
                connection.recv(100)
                for byte in ANSWER:
                    connection.sendall(bytes([byte]))
                connection.recv(100)

        thread = threading.Thread(target=serve)
        thread.start()
        found = load_server(listener.getsockname()[1], [b"GET / HTTP/1.1\r\n\r\n"], 1, 0.0, warm_up=0.0)
        thread.join()
    assert (found["requests"], found["broken"], found["statuses"]) == (1, 0, {"200": 1})
    assert found["answers"] == [(0, "ok")]
    assert found["rate"] == pytest.approx(1 / found["seconds"])
