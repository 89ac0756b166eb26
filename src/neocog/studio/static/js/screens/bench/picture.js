// Numbers as a picture, for exports.
import { colourOf, inkOn, scaleOf, short } from "../../draw.js";

const CELL = 40;
const MOST = 900; // cells with their numbers

// The first channel of a tensor (C, *size).
export function gridCanvas({ shape, data }) {
  const [h, w] = shape.length === 3 ? shape.slice(1) : [1, shape[1]], scale = scaleOf(data, { signed: true });
  const size = h * w <= MOST ? CELL : 4;
  const canvas = Object.assign(document.createElement("canvas"), { width: w * size, height: h * size }), pen = canvas.getContext("2d");
  pen.font = "13px monospace";
  pen.textAlign = "center";
  pen.textBaseline = "middle";
  for (let y = 0; y < h; y++) {
    for (let x = 0; x < w; x++) {
      pen.fillStyle = colourOf(data[y * w + x], scale);
      pen.fillRect(x * size, y * size, size, size);
      if (size !== CELL) continue;
      pen.fillStyle = inkOn(data[y * w + x], scale);
      pen.fillText(short(data[y * w + x]), (x + 0.5) * size, (y + 0.5) * size);
    }
  }
  return canvas;
}
