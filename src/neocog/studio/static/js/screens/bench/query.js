// The address of the Bench, so that a view can be linked and a lesson can set it:
//
//   #/bench?op=conv&size=5x5&kernel=3x3&stride=2&padding=1,1,1,1&at=y,0,1,1
//
//   op         conv (default), transposed, max, average
//   size       height x width of the input; one number for one axis: size=9
//   kernel     height x width of the kernel or window; one number for all axes. So are stride, dilation and outpad.
//   stride     1 if not given; for max and average the kernel's size
//   padding    top,bottom,left,right; before,after along one axis; one number for all sides
//   dilation   samples from tap to tap
//   outpad     output padding, of a transposed convolution
//   in, out    channels; groups
//   flip=1     rotate the kernel by 180 degrees: convolution in the sense of mathematics
//   ceil=1     of pooling: the output size is rounded up;  count_pad=0 leaves the padding out of an average
//   pattern    an example input: digits (default), ramp, edge, checker, impulse, ones, random
//   filter     every kernel is this one: sobel_x, gaussian, ... It decides the kernel's size.
//   x, w, bias numbers with commas, row-major; w is (out, in/groups, kernel), transposed (in, out/groups, kernel)
//   at         what is chosen: y,channel,row,column an output; x,... an input; w,number a weight; m,row,column an
//              entry of the matrix. Along one axis there is no row.
//   network, layer, channel    a layer of an open network with its real weights, instead of all of the above
//   input      the key of an input that was sent: the layer's real maps, around unit=row,column of its output
export const OPS = [["conv", "Convolution"], ["transposed", "Transposed convolution"], ["max", "Max pooling"], ["average", "Average pooling"]];

export const EXAMPLES = {
  "3x3 convolution": {},
  "Same size: padding 1": { padding: "1" },
  "Stride 2 that does not fit": { size: "6x6", stride: "2" },
  "Dilation 2": { size: "7x7", dilation: "2" },
  "Edges of an edge": { size: "6x8", pattern: "edge", filter: "sobel_x" },
  "Two channels in, three out": { in: "2", out: "3" },
  "Pointwise (1x1)": { in: "3", out: "2", kernel: "1", size: "4x4" },
  "Depthwise": { in: "3", out: "3", groups: "3" },
  "Transposed, stride 2": { op: "transposed", size: "3x3", stride: "2" },
  "Max pooling 2x2": { op: "max", size: "6x6", kernel: "2" },
  "Average pooling 3x3, stride 2": { op: "average", size: "6x6", kernel: "3", stride: "2", padding: "1" },
  "A signal": { size: "12", kernel: "3", padding: "1" },
  "A kernel that is too large": { size: "3x3", kernel: "5" },
};

const whole = (text) => Math.trunc(Number(text)) || 0;
const list = (text) => String(text).split(/[x,]/).map(whole);

// One number for each axis: the first one for all, if there is only one.
export function perAxis(text, axes, usual) {
  const found = text === undefined || text === "" ? [usual] : list(text);
  return [...Array(axes).keys()].map((axis) => found[axis] ?? found[found.length === 1 ? 0 : found.length - 1]);
}

function sides(text, axes) {
  const found = text === undefined || text === "" ? [0] : list(text);
  if (found.length === 2 * axes) return [...Array(axes).keys()].map((axis) => [found[2 * axis], found[2 * axis + 1]]);
  return [...Array(axes).keys()].map((axis) => [found[axis] ?? found[0], found[axis] ?? found[0]]);
}

const numbers = (text) => (text ? text.split(",").map(Number) : null);

// What the server gets.
export function toSetting(query) {
  if (query.layer) {
    return { network: query.network || "", layer: query.layer, channel: whole(query.channel), input: query.input || "",
      unit: query.unit ? list(query.unit) : [] };
  }
  const size = list(query.size || "5x5").slice(0, 2), axes = size.length;
  const op = query.op || "conv", pools = op === "max" || op === "average";
  const kernel = perAxis(query.kernel, axes, 3);
  return {
    op, size, kernel, stride: pools && !query.stride ? kernel : perAxis(query.stride, axes, 1), padding: sides(query.padding, axes),
    dilation: perAxis(query.dilation, axes, 1), output_padding: perAxis(query.outpad, axes, 0),
    in_channels: whole(query.in ?? 1), out_channels: pools ? whole(query.in ?? 1) : whole(query.out ?? 1), groups: whole(query.groups ?? 1),
    ceil_mode: query.ceil === "1", count_include_pad: query.count_pad !== "0", flip: query.flip === "1",
    x: numbers(query.x), w: pools ? null : numbers(query.w), bias: pools ? null : numbers(query.bias),
    pattern: query.pattern || "digits", filter: pools ? "" : query.filter || "",
  };
}

// The settings without what is only looked at.
export function keyOf({ at, page, ...rest }) {
  return new URLSearchParams(rest).toString();
}

// "y,0,1,2" -> {kind: "y", place: [0, 1, 2]}
export function chosen(at) {
  const [kind, ...rest] = (at || "").split(",");
  return "xywm".includes(kind) && kind && rest.length ? { kind, place: rest.map(whole) } : null;
}

// Values of a shape in another: cropped, and zeros where there were none.
export function resized(values, before, after) {
  const total = after.reduce((a, b) => a * b, 1);
  return [...Array(total).keys()].map((flat) => {
    let rest = flat, at = 0, inside = true;
    const place = after.map(() => 0);
    for (let axis = after.length - 1; axis >= 0; axis--) { place[axis] = rest % after[axis]; rest = Math.floor(rest / after[axis]); }
    for (let axis = 0; axis < after.length; axis++) { inside &&= place[axis] < before[axis]; at = at * before[axis] + place[axis]; }
    return inside ? values[at] : 0;
  });
}

export function unravel(flat, shape) {
  const place = shape.map(() => 0);
  for (let axis = shape.length - 1; axis >= 0; axis--) { place[axis] = flat % shape[axis]; flat = Math.floor(flat / shape[axis]); }
  return place;
}
export const ravel = (place, shape) => place.reduce((flat, at, axis) => flat * shape[axis] + at, 0);
