// The operation as a sparse matrix: a row for each output, a column for each input.
import { table } from "../../draw.js";
import { html, useEffect, useRef, useState } from "../../lib.js";
import { Legend, Mark, NumberField, scaleOf, short } from "../../parts.js";
import { unravel } from "./query.js";

const MOST = 4e6; // numbers of a matrix that is drawn

// Entries by row: row -> [[column, weight, tap], ...].
export function byRow({ rows, columns, weights, taps }) {
  const found = new Map();
  for (let i = 0; i < rows.data.length; i++) {
    if (!found.has(rows.data[i])) found.set(rows.data[i], new Map());
    found.get(rows.data[i]).set(columns.data[i], { weight: weights.data[i], tap: taps.data[i] });
  }
  return found;
}

export function drawMatrix(canvas, [height, width], { rows, columns, weights, taps }, scale, tap) {
  canvas.width = width;
  canvas.height = height;
  const image = new ImageData(width, height), words = new Uint32Array(image.data.buffer), colours = table(scale.map);
  words.fill(0x40808080); // not connected
  for (let i = 0; i < rows.data.length; i++) {
    const share = (weights.data[i] - scale.low) / (scale.high - scale.low || 1);
    const faint = tap !== null && taps.data[i] !== tap;
    words[rows.data[i] * width + columns.data[i]] = (colours[Math.round(255 * Math.min(1, Math.max(0, share)))] & 0xffffff) | (faint ? 0x40000000 : 0xff000000);
  }
  canvas.getContext("2d").putImageData(image, 0, 0);
}

export function Matrix({ run, row, column, tap, onPick }) {
  const canvas = useRef();
  const { rows: height, columns: width, sent } = run.meta.matrix;
  const drawn = sent && height * width <= MOST;
  const [cursor, setCursor] = useState([0, 0]);
  const at = [Math.min(height - 1, row ?? cursor[0]), Math.min(width - 1, column ?? cursor[1])];
  useEffect(() => { if (drawn) drawMatrix(canvas.current, [height, width], run.tensors, scaleOf(run.tensors.weights.data, { signed: true }), tap); }, [run, tap, drawn]);
  if (!drawn) return html`<p class="quiet">A matrix of ${height} rows and ${width} columns is too large to draw. Make the input smaller.</p>`;
  const pick = (y, x) => { setCursor([y, x]); onPick(Math.min(height - 1, Math.max(0, y)), Math.min(width - 1, Math.max(0, x))); };
  const from = (event) => {
    const box = canvas.current.getBoundingClientRect();
    pick(Math.floor(((event.clientY - box.top) / box.height) * height), Math.floor(((event.clientX - box.left) / box.width) * width));
  };
  const keys = (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    pick(at[0] + step[0], at[1] + step[1]);
  };
  const y = run.tensors.y.shape, x = run.tensors.x.shape;
  const entry = row === null || column === null ? null : run.byRow.get(row)?.get(column);
  const said = row !== null && column !== null
    ? `Row ${row} is y[${unravel(row, y)}], column ${column} is x[${unravel(column, x)}]: ${entry ? `the weight is ${short(entry.weight)}` : "not connected, 0"}.`
    : row !== null ? `Row ${row} is y[${unravel(row, y)}]; it reads ${run.byRow.get(row)?.size ?? 0} inputs.`
    : column !== null ? `Column ${column} is x[${unravel(column, x)}].` : "Choose an entry with a click or the arrow keys.";
  const zoom = Math.max(1, Math.min(16, Math.floor(620 / width), Math.floor(620 / height)));
  return html`<p class="small quiet">y = M x${run.meta.weights ? " + b" : ""}: ${height} rows, one for each output, and ${width} columns, one for each input, read row by row. ${run.meta.op === "max" ? "A maximum is a matrix for this input only: a 1 at each winner." : `${run.tensors.rows.data.length} of ${height * width} entries are connections; equal weights have equal colours.`}</p>
    <div class="scroll"><div class="matrix" style=${{ width: `${width * zoom}px`, position: "relative" }}>
      <canvas ref=${canvas} tabindex="0" role="img" style=${{ width: "100%", aspectRatio: `${width} / ${height}` }} onClick=${from} onKeyDown=${keys}
        aria-label=${`Matrix of ${height} rows and ${width} columns. ${said}`} />
      ${row !== null && html`<${Mark} box=${[row, 0, row + 1, width]} h=${height} w=${width} />`}
      ${column !== null && html`<${Mark} box=${[0, column, height, column + 1]} h=${height} w=${width} colour="var(--accent)" />`}
    </div></div>
    <${Legend} scale=${scaleOf(run.tensors.weights.data, { signed: true })} />
    <p class="small" data-matrix-says>${said}</p>
    <div class="row"><${NumberField} label="Row (output)" value=${row ?? ""} min="0" max=${height - 1} onChange=${(next) => pick(next, column ?? 0)} />
      <${NumberField} label="Column (input)" value=${column ?? ""} min="0" max=${width - 1} onChange=${(next) => pick(row ?? 0, next)} /></div>`;
}
