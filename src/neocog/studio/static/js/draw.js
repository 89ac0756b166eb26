// Drawing numbers as colours on a canvas.

// Anchors of the colour maps, evenly spread; between them colours are mixed in sRGB.
const MAPS = {
  grey: ["#000000", "#ffffff"],
  heat: ["#000004", "#2d115f", "#721f81", "#b6377a", "#f1605d", "#feae77", "#fcfdbf"],
  over: ["#1f61d6", "#ffffff", "#d62e1f"], overred: ["#ffffff", "#d62e1f"], // maps over an input
  signed: ["#2166ac", "#67a9cf", "#d1e5f0", "#f7f7f7", "#fddbc7", "#ef8a62", "#b2182b"],
};
const tables = {};

// 256 colours as RGBA in one Uint32Array, little-endian.
export function table(name) {
  if (tables[name]) return tables[name];
  const anchors = MAPS[name].map((hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16)));
  const found = new Uint32Array(256);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (anchors.length - 1);
    const k = Math.min(anchors.length - 2, Math.floor(place));
    const [r, g, b] = [0, 1, 2].map((c) => Math.round(anchors[k][c] + (place - k) * (anchors[k + 1][c] - anchors[k][c])));
    found[i] = (255 << 24) | (b << 16) | (g << 8) | r;
  }
  return (tables[name] = found);
}

export function colourOf(value, { low, high, map }) {
  const word = table(map)[indexOf(value, low, high)];
  return `rgb(${word & 255}, ${(word >> 8) & 255}, ${(word >> 16) & 255})`;
}

// Black or white, whichever is easier to read on the colour of a number.
export function inkOn(value, { low, high, map }) {
  const word = table(map)[indexOf(value, low, high)];
  const [r, g, b] = [word & 255, (word >> 8) & 255, (word >> 16) & 255].map((byte) => (byte / 255) ** 2.2);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.18 ? "#000" : "#fff";
}

function indexOf(value, low, high) {
  const scaled = (value - low) / (high - low || 1);
  return scaled <= 0 || Number.isNaN(scaled) ? 0 : scaled >= 1 ? 255 : Math.round(255 * scaled);
}

// The ends of a scale: around zero for signed numbers, from 0 or the least one up to the largest for others.
export function scaleOf(data, { signed = false } = {}) {
  let low = Infinity, high = -Infinity;
  for (const value of data) {
    if (!Number.isFinite(value)) continue;
    if (value < low) low = value;
    if (value > high) high = value;
  }
  if (!(low <= high)) [low, high] = [0, 0];
  const reach = Math.max(Math.abs(low), Math.abs(high));
  return signed ? { low: -reach, high: reach, map: "signed" } : { low: Math.min(0, low), high, map: "heat" };
}

// Writes a map of numbers (h, w) into an ImageData's words at (x, y).
function paint(words, stride, x, y, data, h, w, { low, high, map }) {
  const colours = table(map);
  for (let i = 0; i < h; i++) {
    let at = (y + i) * stride + x;
    for (let j = 0; j < w; j++) words[at++] = colours[indexOf(data[i * w + j], low, high)];
  }
}

// One map, a canvas pixel for each number; CSS enlarges it.
export function drawMap(canvas, { shape, data }, scale) {
  const [h, w] = shape.slice(-2);
  canvas.width = w;
  canvas.height = h;
  const image = new ImageData(w, h);
  paint(new Uint32Array(image.data.buffer), w, 0, 0, data, h, w, scale);
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// An image (3 or 1, H, W) of bytes or of numbers from 0 to 1.
export function drawImage(canvas, { shape, data }) {
  const [c, h, w] = shape.length === 3 ? shape : [1, ...shape];
  const times = data instanceof Uint8Array ? 1 : 255;
  canvas.width = w;
  canvas.height = h;
  const image = new ImageData(w, h), plane = h * w;
  for (let i = 0; i < plane; i++) {
    for (let k = 0; k < 3; k++) image.data[4 * i + k] = data[(c >= 3 ? k : 0) * plane + i] * times;
    image.data[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// A wall of maps (C, h, w) side by side, each with its own or one common scale. Returns where they are.
export function drawWall(canvas, { shape, data }, { columns, gap = 1, scaleFor }) {
  const [count, h, w] = shape;
  const rows = Math.ceil(count / columns);
  canvas.width = columns * (w + gap) - gap;
  canvas.height = rows * (h + gap) - gap;
  const image = new ImageData(canvas.width, canvas.height);
  const words = new Uint32Array(image.data.buffer);
  for (let k = 0; k < count; k++) {
    const part = data.subarray(k * h * w, (k + 1) * h * w);
    paint(words, canvas.width, (k % columns) * (w + gap), Math.floor(k / columns) * (h + gap), part, h, w, scaleFor(k, part));
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
  return { columns, rows, h, w, gap };
}

// A number in few characters: 3 significant digits, 1.2e-6 where it is small.
export function short(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "-∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e5)) return value.toExponential(1);
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(3)));
}
