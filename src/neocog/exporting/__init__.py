"""A trained network as a file for other programs, written only if it computes what the network does.

`program` puts the preprocessing and the decoding around the network, `onnx_file`, `openvino_file` and `torch_file`
write it, and `gate` compares what was written with `Predictor` on validation data.
"""

__all__: list[str] = []
