// Drawing an input of any kind with a map over it, on one canvas. Red is positive and blue negative; the more of
// either, the less of the input shows through. Nothing here stretches a map to its own range: `reach` is given.
import { scaleOf, short } from "./draw.js";

const RED = [214, 46, 31], BLUE = [31, 97, 214], OPAQUE = 0.85, CLASS = 0.5;
export const LANE = 64, BAND = 14, WIDE = 720, CELL = 28;

const colour = (canvas, name) => getComputedStyle(canvas).getPropertyValue(name).trim() || "#888";
export const shareOf = (value, reach) => (reach > 0 ? Math.max(-1, Math.min(1, value / reach)) : 0);
// A CSS colour; `most` is the opacity of the strongest.
export const tint = (share, most = OPAQUE) => `rgba(${(share >= 0 ? RED : BLUE).join(", ")}, ${(most * Math.abs(share)).toFixed(3)})`;
export const READABLE = 0.6; // behind words
const rgb = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

// Maps of a spectrogram come as (..., frames, bands) and are drawn with time to the right and low bands below.
export function turned({ shape, data }) {
  const [t, f] = shape.slice(-2), lead = shape.slice(0, -2), count = lead.reduce((a, b) => a * b, 1);
  const made = new data.constructor(data.length);
  for (let k = 0; k < count; k++) for (let y = 0; y < f; y++) for (let x = 0; x < t; x++) made[(k * f + y) * t + x] = data[(k * t + x) * f + (f - 1 - y)];
  return { shape: [...lead, f, t], data: made };
}
export const asDrawn = (kind, map) => (kind === "spectrogram" && map.shape.length >= 2 ? turned(map) : map);
// A place of a drawing as a place of the layer or the input, and back.
export const toPlace = (kind, [y, x], h) => (kind === "spectrogram" ? [x, h - 1 - y] : [y, x]);
export const fromPlace = (kind, [a, b], h) => (kind === "spectrogram" ? [h - 1 - b, a] : [a, b]);

// The input's own pixels, (h, w) words of RGB bytes.
function basePixels({ meta, tensors }) {
  if (meta.kind === "image") {
    const { shape: [c, h, w], data } = tensors.pixels;
    return { h, w, at: (i, k) => data[(c >= 3 ? k : 0) * h * w + i] };
  }
  const { shape, data } = tensors.bands || tensors.values;
  const [h, w] = shape.slice(-2), first = data.subarray(0, h * w), { high } = scaleOf(first);
  const low = first.reduce((a, b) => Math.min(a, b), high);
  return { h, w, at: (i) => Math.round((255 * (first[i] - low)) / (high - low || 1)) };
}

// An image or a spectrogram: `map` (h, w) as drawn, `mask` (h, w) of classes with their CSS colours.
export function drawPlanes(canvas, received, { map, reach, mask, colours }) {
  const { h, w, at } = basePixels(received);
  canvas.width = w;
  canvas.height = h;
  const image = new ImageData(w, h), out = image.data, classes = (colours || []).map(rgb);
  for (let i = 0; i < h * w; i++) {
    const share = map ? shareOf(map.data[i], reach) : 0;
    const over = map ? (share >= 0 ? RED : BLUE) : mask && mask.data[i] ? classes[mask.data[i]] : null;
    const part = map ? OPAQUE * Math.abs(share) : CLASS;
    for (let k = 0; k < 3; k++) out[4 * i + k] = over ? (1 - part) * at(i, k) + part * over[k] : at(i, k);
    out[4 * i + 3] = 255;
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

// A signal: each channel in a lane of its own, the map behind them, and a band of classes below.
export function drawCurves(canvas, { meta, tensors }, { map, reach, mask, colours, picked }) {
  const { shape: [count, length], data } = tensors.curves;
  const wide = canvas.clientWidth || WIDE, lanes = Math.min(8, count), height = lanes * LANE + (mask ? BAND : 0), scale = devicePixelRatio || 1;
  canvas.width = wide * scale;
  canvas.height = height * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.fillStyle = colour(canvas, "--panel");
  pen.fillRect(0, 0, wide, height);
  const x = (t) => (wide * (t + 0.5)) / length;
  const strip = (values, paint, top, tall) => {
    for (let t = 0; t < length; t++) { pen.fillStyle = paint(values[t]); pen.fillRect((wide * t) / length, top, wide / length + 0.5, tall); }
  };
  if (map) strip(map.data, (value) => tint(shareOf(value, reach)), 0, lanes * LANE);
  if (mask) strip(mask.data, (k) => (colours || [])[k] || "#ccc", lanes * LANE + 2, BAND - 2);
  pen.font = "11px sans-serif";
  for (let k = 0; k < lanes; k++) {
    const row = data.subarray(k * length, (k + 1) * length), top = k * LANE;
    let low = Infinity, high = -Infinity;
    for (const value of row) if (Number.isFinite(value)) { low = Math.min(low, value); high = Math.max(high, value); }
    pen.strokeStyle = colour(canvas, "--ink");
    pen.lineWidth = 1.2;
    pen.beginPath();
    let down = false;
    for (let t = 0; t < length; t++) {
      if (!Number.isFinite(row[t])) { down = false; continue; }
      const y = top + LANE - 6 - ((LANE - 12) * (row[t] - low)) / (high - low || 1);
      down ? pen.lineTo(x(t), y) : pen.moveTo(x(t), y);
      down = true;
    }
    pen.stroke();
    pen.fillStyle = colour(canvas, "--quiet");
    if (meta.names) pen.fillText(`${meta.names[k]}: ${short(low)} to ${short(high)}`, 4, top + 11);
  }
  if (picked) { pen.strokeStyle = colour(canvas, "--mark"); pen.lineWidth = 2; pen.strokeRect(x(picked[0]) - 2, 1, 4, height - 2); }
}

const pictures = new Map();
function loaded(address) {
  if (!pictures.has(address)) {
    pictures.set(address, new Promise((done, failed) => {
      const picture = new Image();
      picture.onload = () => done(picture);
      picture.onerror = () => failed(new Error("The board can't be drawn."));
      picture.src = address;
    }));
    if (pictures.size > 32) pictures.delete(pictures.keys().next().value);
  }
  return pictures.get(address);
}

// A board with its stones, a map over the points, and shares of moves written on them.
export async function drawBoard(canvas, { meta }, { map, reach, moves, picked }) {
  const side = CELL * (meta.size + 1), scale = devicePixelRatio || 1;
  const picture = await loaded(meta.address);
  canvas.width = canvas.height = side * scale;
  const pen = canvas.getContext("2d");
  pen.scale(scale, scale);
  pen.drawImage(picture, 0, 0, side, side);
  const square = (point, style) => { pen.fillStyle = style; pen.fillRect(CELL * ((point % meta.size) + 0.5), CELL * (Math.floor(point / meta.size) + 0.5), CELL, CELL); };
  if (map) map.data.forEach((value, point) => square(point, tint(shareOf(value, reach))));
  pen.textAlign = "center";
  pen.font = "bold 11px sans-serif";
  for (const [point, text] of moves || []) {
    const [x, y] = [CELL * ((point % meta.size) + 1), CELL * (Math.floor(point / meta.size) + 1)];
    pen.fillStyle = "#ffffffd0";
    pen.beginPath(); pen.arc(x, y, CELL * 0.45, 0, 7); pen.fill();
    pen.fillStyle = "#10304f";
    pen.fillText(text, x, y + 4);
  }
  if (picked) { pen.strokeStyle = "#b45309"; pen.lineWidth = 3; pen.strokeRect(CELL * (picked[1] + 0.5), CELL * (picked[0] + 0.5), CELL, CELL); }
}

// A text with the map as the background of its tokens, for exports; the page itself shows words.
export function drawTokens(canvas, { meta }, { map, reach }) {
  canvas.width = WIDE;
  const pen = canvas.getContext("2d");
  const put = (paint) => {
    let [x, y] = [8, 24];
    pen.font = "15px monospace";
    meta.tokens.forEach(([token], k) => {
      const wide = pen.measureText(token).width + 8;
      if (x + wide > WIDE - 8) [x, y] = [8, y + 26];
      if (paint) {
        pen.fillStyle = map ? tint(shareOf(map.data[k], reach), READABLE) : "#0000";
        pen.fillRect(x, y - 17, wide, 23);
        pen.fillStyle = "#16202c";
        pen.fillText(token, x + 4, y);
      }
      x += wide + 3;
    });
    return y + 16;
  };
  canvas.height = put(false);
  pen.fillStyle = "#fff";
  pen.fillRect(0, 0, canvas.width, canvas.height);
  put(true);
}
