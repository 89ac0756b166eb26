// Tensors from the server; see studio/wire.py for the format.
const ARRAYS = { float32: Float32Array, float64: Float64Array, int32: Int32Array, uint8: Uint8Array };

// An ArrayBuffer -> {meta, tensors: {name: {shape, data}}}; the numbers are not copied.
export function unpack(buffer) {
  const length = new DataView(buffer).getUint32(0, true);
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length)));
  const tensors = {};
  for (const { name, dtype, shape, offset } of header.tensors) {
    const size = shape.reduce((a, b) => a * b, 1);
    tensors[name] = { shape, data: new ARRAYS[dtype](buffer, 4 + length + offset, size) };
  }
  return { meta: header.meta, tensors };
}

// The part of a tensor at the first index: (N, ...) -> (...).
export function at(tensor, index) {
  const shape = tensor.shape.slice(1);
  const size = shape.reduce((a, b) => a * b, 1);
  return { shape, data: tensor.data.subarray(index * size, (index + 1) * size) };
}
