// Bench: convolution and pooling on numbers that can be touched. The address says everything: see bench/query.js.
import { Failure, ask, useAnswer } from "../api.js";
import { scaleOf } from "../draw.js";
import { html, useEffect, useMemo, useState } from "../lib.js";
import { Choice, Export, Heat, NumberGrid, Problem } from "../parts.js";
import { Matrix, byRow, drawMatrix } from "./bench/matrix.js";
import { gridCanvas } from "./bench/picture.js";
import { chosen, keyOf, ravel, resized, toSetting, unravel } from "./bench/query.js";
import { Settings } from "./bench/settings.js";
import { Pager, Unit, placesOf } from "./bench/unit.js";

const CHANNELS = 4; // side by side
const CELLS = 600; // beyond, a map is drawn without its numbers
const PACES = [["1500", "slow"], ["700", "normal"], ["250", "fast"]];

export function Bench({ overview, query, put }) {
  const key = keyOf(query), setting = useMemo(() => toSetting(query), [key]);
  const asked = useAnswer(async (stop) => {
    try {
      const run = await ask("/api/bench/run", { json: setting, signal: stop });
      if (run.error) return { key, error: new Failure(run) };
      return { ...run, key, byRow: run.meta.matrix.sent ? byRow(run.tensors) : new Map() };
    } catch (error) {
      if (error.name === "AbortError" || error.kind === "offline") throw error;
      return { key, error };
    }
  }, [key]);
  const run = asked.value && !asked.value.error ? asked.value : null;
  const wanted = run && run.key === key ? chosen(query.at) : null;
  const at = wanted && fits(wanted, run) ? wanted : null;
  const unitAt = at && at.kind === "m" ? ["y", ...unravel(at.place[0], run.tensors.y.shape)].join(",") : at && at.kind !== "w" ? query.at : "";
  const unit = useAnswer(async (stop) => (unitAt ? { at: unitAt, ...(await ask("/api/bench/unit", { json: { ...setting, at: unitAt }, signal: stop })) } : null), [key, unitAt, !!run]);
  const set = (parts) => put("bench", reshaped(query, parts, setting));
  const play = usePlay(run, at, (next) => put("bench", { ...query, at: next }));
  const shown = unit.value && unit.value.at === unitAt ? unit.value : null;
  const error = asked.error || (asked.value && asked.value.error);
  return html`<div class="bench"><div class="head"><h1>Bench</h1>${run && html`<${Export} view=${() => exported(run, shown)} />`}</div>
    <div class="side"><${Settings} query=${query} set=${set} put=${put} overview=${overview} />
      <div class="work" data-bench=${asked.value ? asked.value.key : ""} data-unit=${shown ? shown.at : ""} aria-busy=${asked.busy}>
        ${error ? html`<div class="panel"><h2>${error.kind === "GeometryError" ? "This does not fit" : "This can't be shown"}</h2><${Problem} error=${error} /></div>`
          : !run ? html`<p class="quiet busy" role="status">Computing ...</p>`
          : html`<${Maps} run=${run} unit=${shown} at=${at} query=${query} put=${put} play=${play} />
            <div class="columns"><section class="panel" aria-labelledby="unit-head"><h2 id="unit-head">${shown && shown.meta.kind === "x" ? "What this input feeds" : "What this output is made of"}</h2>
              <${Unit} unit=${shown} run=${run} playing=${play.playing} onTap=${(tap) => put("bench", { ...query, at: `w,${tap}` })} /></section>
            <section class="panel" aria-labelledby="size-head"><h2 id="size-head">Sizes and cost</h2><${Sizes} meta=${run.meta} /></section></div>
            <section class="panel" aria-labelledby="matrix-head"><h2 id="matrix-head">The same as a matrix</h2><${Matrix} run=${run} ...${marksOf(run, at)} onPick=${(row, column) => put("bench", { ...query, at: `m,${row},${column}` })} /></section>`}
      </div></div></div>`;
}

// Whether what is chosen is there.
function fits({ kind, place }, { tensors, meta }) {
  if (kind === "w") return tensors.w !== undefined && place[0] < tensors.w.data.length;
  if (kind === "m") return place.length === 2 && place[0] < meta.matrix.rows && place[1] < meta.matrix.columns;
  const { shape } = tensors[kind];
  return place.length === shape.length && place.every((each, axis) => each >= 0 && each < shape[axis]);
}

// The row, column and weight of the matrix that are chosen.
function marksOf({ tensors }, at) {
  const none = { row: null, column: null, tap: null };
  if (!at) return none;
  if (at.kind === "y") return { ...none, row: ravel(at.place, tensors.y.shape) };
  if (at.kind === "x") return { ...none, column: ravel(at.place, tensors.x.shape) };
  return at.kind === "w" ? { ...none, tap: at.place[0] } : { ...none, row: at.place[0], column: at.place[1] };
}

// The address with parts changed; own numbers follow a change of their shape.
function reshaped(query, parts, before) {
  const next = { ...query, ...parts };
  delete next.at;
  const after = toSetting(next);
  for (const [name, shape] of [["x", (s) => [s.in_channels, ...s.size]], ["w", (s) => [...pair(s), ...s.kernel]], ["bias", (s) => [s.out_channels]]]) {
    if (!next[name] || parts[name]) continue;
    const [from, to] = [shape(before), shape(after)];
    next[name] = from.length === to.length && to.every((size) => size > 0) ? resized(next[name].split(",").map(Number), from, to).join(",") : undefined;
  }
  return next;
}
const pair = (s) => (s.op === "transposed" ? [s.in_channels, Math.floor(s.out_channels / s.groups)] : [s.out_channels, Math.floor(s.in_channels / s.groups)]);

// Steps through the outputs, one after another, by hand or by the clock.
function usePlay(run, at, choose) {
  const [playing, setPlaying] = useState(false);
  const [pace, setPace] = useState("700");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const count = run ? run.tensors.y.data.length : 0, shape = run ? run.tensors.y.shape : [];
  const now = at && at.kind === "y" ? ravel(at.place, shape) : at && at.kind === "m" ? at.place[0] : -1;
  const step = (by) => choose(`y,${unravel((now < 0 ? (by > 0 ? 0 : count - 1) : now + by + count) % count, shape)}`);
  useEffect(() => {
    if (!playing || !count) return undefined;
    const timer = setTimeout(() => (now >= count - 1 ? setPlaying(false) : step(1)), Number(pace));
    return () => clearTimeout(timer);
  }, [playing, now, pace, count]);
  const start = () => { if (now >= count - 1) choose(`y,${unravel(0, shape)}`); else step(1); setPlaying(true); };
  return { playing, still, pace, setPace, step, start, pause: () => setPlaying(false), now, count };
}

function Player({ play }) {
  return html`<div class="row player" role="group" aria-label="Step through the outputs">
    <button onClick=${() => { play.pause(); play.step(-1); }} aria-label="Previous output">‹ Back</button>
    ${!play.still && html`<button class="main" onClick=${play.playing ? play.pause : play.start}>${play.playing ? "Pause" : "Play"}</button>`}
    <button onClick=${() => { play.pause(); play.step(1); }} aria-label="Next output">Step ›</button>
    ${!play.still && html`<${Choice} label="Pace" value=${play.pace} options=${PACES} onChange=${play.setPace} />`}
    <span class="small quiet">${play.now < 0 ? `${play.count} outputs` : `output ${play.now + 1} of ${play.count}`}</span></div>`;
}

// Input, kernels and output side by side; what is chosen and what it touches are framed.
function Maps({ run, unit, at, query, put, play }) {
  const { meta, tensors } = run, { x, y, w } = tensors, own = !meta.layer;
  const [outPage, setOutPage] = useState(0);
  const [pick, choose] = [(kind) => (place) => put("bench", { ...query, at: `${kind},${place}` }), (parts) => put("bench", { ...query, ...parts })];
  const row = at && (at.kind === "y" ? at.place : at.kind === "m" ? unravel(at.place[0], y.shape) : null);
  const column = at && (at.kind === "x" ? at.place : at.kind === "m" ? unravel(at.place[1], x.shape) : null);
  const output = row ? row[0] : unit && unit.meta.kind === "x" && unit.tensors.places.data.length ? unit.tensors.places.data[0] : Math.min(outPage * CHANNELS, y.shape[0] - 1);
  const reads = readBy(meta, x.shape[0], y.shape[0], output), inPage = Math.min(Number(query.page) || 0, Math.ceil(x.shape[0] / CHANNELS) - 1);
  const lit = useMemo(() => litBy(unit, meta), [unit]);
  const unread = useMemo(() => (meta.matrix.sent ? new Set(tensors.columns.data) : null), [run]);
  const inputs = page(x.shape[0], inPage), outputs = page(y.shape[0], row ? Math.floor(row[0] / CHANNELS) : outPage);
  const edit = (name, tensor, flat, value) => { const values = [...tensor.data]; values[flat] = value; choose({ [name]: values.join(","), ...(name === "w" ? { filter: undefined } : {}) }); };
  const border = meta.op === "transposed" ? null : { sides: meta.size.length === 1 ? [[0, 0], meta.padding[0]] : meta.padding, value: meta.op === "max" ? -Infinity : 0 };
  const plane = x.shape.slice(1), area = plane.reduce((a, b) => a * b, 1);
  const scales = { x: scaleOf(x.data, { signed: true }), y: scaleOf(y.data, { signed: true }), w: w && scaleOf(w.data, { signed: true }) };
  return html`<div class="panel"><${Player} play=${play} /><div class="flow">
    <section aria-label="Input"><h2>Input <span class="small quiet number">${x.shape.join(" x ")}</span></h2>
      <${Pager} count=${x.shape[0]} size=${CHANNELS} page=${inPage} onPage=${(next) => choose({ page: next || undefined })} noun="channels" />
      <div class="maps">${inputs.map((c) => html`<${Map2} key=${c} title=${`Input channel ${c + (meta.layer ? meta.layer.first_channel : 0)}`} tensor=${x} channel=${c} scale=${scales.x} border=${border} picked=${column && column[0] === c ? column : null}
        marked=${(place) => (lit.inputs.get([c, ...place].join(",")) || (unread && inside(place, plane) && !unread.has(c * area + ravel(place, plane)) ? "unread" : ""))} onPick=${(place) => pick("x")([c, ...place])}
        onEdit=${own ? (flat, value) => edit("x", x, c * area + flat, value) : null} />`)}</div></section>
    ${w && html`<section aria-label="Kernel"><h2>Kernel <span class="small quiet">of output channel ${output + (meta.layer ? meta.layer.channel : 0)}</span></h2>
      <div class="maps">${inputs.filter((c) => c >= reads[0] && c < reads[1]).map((c) => {
        const index = kernelIndex(meta, reads, c, output), size = w.shape.slice(2).reduce((a, b) => a * b, 1), [o, i] = index, first = (o * w.shape[1] + i) * size;
        return html`<${Map2} key=${c} title=${`Kernel on input channel ${c + (meta.layer ? meta.layer.first_channel : 0)}`} tensor=${{ shape: [1, ...w.shape.slice(2)], data: w.data.subarray(first, first + size) }} channel=${0} scale=${scales.w}
          picked=${at && at.kind === "w" && at.place[0] >= first && at.place[0] < first + size ? [0, ...unravel(at.place[0] - first, w.shape.slice(2))] : null}
          marked=${(place) => (lit.taps.has(first + ravel(place, w.shape.slice(2))) ? true : "")} onPick=${(place) => pick("w")(first + ravel(place, w.shape.slice(2)))} onEdit=${own ? (flat, value) => edit("w", w, first + flat, value) : null} />`;
      })}${meta.flip && html`<p class="small quiet">It is laid over the input rotated by 180 degrees.</p>`}</div>
      <${Map2} title="Bias" tensor=${{ shape: [1, 1], data: tensors.bias.data.subarray(output, output + 1) }} channel=${0} scale=${scales.w} onEdit=${own ? (_, value) => edit("bias", tensors.bias, output, value) : null} /></section>`}
    <section aria-label="Output"><h2>Output <span class="small quiet number">${y.shape.join(" x ")}</span></h2>
      <${Pager} count=${y.shape[0]} size=${CHANNELS} page=${row ? Math.floor(row[0] / CHANNELS) : outPage} onPage=${(next) => { setOutPage(next); choose({ at: undefined }); }} noun="channels" />
      <div class="maps outputs">${outputs.map((o) => html`<${Map2} key=${o} title=${`Output channel ${o + (meta.layer ? meta.layer.channel : 0)}`} tensor=${y} channel=${o} scale=${scales.y} picked=${row && row[0] === o ? row : null}
        marked=${(place) => (lit.outputs.has([o, ...place].join(",")) ? true : "")} onPick=${(place) => pick("y")([o, ...place])} />`)}</div></section></div>
    ${meta.layer && meta.layer.input && html`<p class="small quiet">Rows and columns are counted from the corner of this part: the output begins at ${meta.layer.first_output.join(", ")} of the layer's output, the input at ${meta.layer.first_input.join(", ")} of what it receives.</p>`}</div>`;
}

const page = (count, at) => [...Array(count).keys()].slice(at * CHANNELS, (at + 1) * CHANNELS);
const inside = (place, plane) => place.every((each, axis) => each >= 0 && each < plane[axis]);

// The input channels, from and to, that an output channel reads.
function readBy({ groups, weights }, inputs, outputs, output) {
  if (!weights) return [output, output + 1];
  const group = Math.floor(output / (outputs / groups)), size = inputs / groups;
  return [group * size, (group + 1) * size];
}

// Where the kernel of an input and an output channel stands in w.
function kernelIndex({ op, groups, out_channels: outputs }, [first], c, output) {
  return op === "transposed" ? [c, output % (outputs / groups)] : [output, c - first];
}

// What a chosen unit touches: inputs with how, weights, outputs.
function litBy(unit, meta) {
  const found = { inputs: new Map(), taps: new Set(), outputs: new Set() };
  if (!unit) return found;
  const places = placesOf(unit.tensors.places);
  places.forEach((place, i) => {
    if (unit.meta.kind === "y") {
      const won = meta.op === "max" && unit.tensors.weights.data[i] === 1;
      found.inputs.set([unit.tensors.channels.data[i], ...place].join(","), won ? "won" : true);
    } else {
      found.outputs.add(place.join(","));
      found.taps.add(unit.tensors.taps.data[i]);
    }
  });
  return found;
}

// One channel: numbers in a grid, or a drawing where there are too many. Places are (row, column), or (column).
function Map2({ title, tensor, channel, scale, picked, marked, onPick, onEdit, border }) {
  const plane = tensor.shape.slice(1), shape = plane.length === 2 ? plane : [1, ...plane];
  const area = shape[0] * shape[1], values = tensor.data.subarray(channel * area, (channel + 1) * area);
  const short = (y, x) => (plane.length === 2 ? [y, x] : [x]);
  const long = picked && (picked.length === 3 ? picked.slice(1) : [0, picked[1]]);
  if (area > CELLS) return html`<${Heat} title=${title} map=${{ shape, data: values }} scale=${scale} picked=${long} onPick=${onPick && (([y, x]) => onPick(short(y, x)))} />`;
  return html`<figure><div class="scroll"><${NumberGrid} title=${title} values=${values} shape=${shape} scale=${scale} picked=${long} border=${border}
    marked=${marked && ((y, x) => marked(short(y, x)))} onPick=${onPick && ((y, x) => onPick(short(y, x)))} onEdit=${onEdit && ((y, x, value) => onEdit(y * shape[1] + x, value))} /></div>
    <figcaption>${title}</figcaption></figure>`;
}

function Sizes({ meta }) {
  return html`<dl class="sizes">${meta.axes.map((name, axis) => html`<dt key=${name}>${name}</dt><dd><span class="formula" data-formula=${name}>${meta.formulas[axis]}</span>
      ${meta.fits[axis] && html`<br /><span class=${`small ${meta.fits[axis].startsWith("does not") ? "bad" : "quiet"}`}>The stride ${meta.fits[axis].startsWith("does not") ? meta.fits[axis] : `fits: ${meta.fits[axis]}`}.</span>`}</dd>`)}
    ${meta.weights > 0 && html`<dt>cost</dt><dd class="small">${meta.weights.toLocaleString("en")} weights and ${meta.out_channels} bias${meta.out_channels === 1 ? "" : "es"}, ${meta.macs.toLocaleString("en")} multiplications.
      A fully connected layer between the same numbers has ${meta.dense.toLocaleString("en")} weights.</dd>`}</dl>`;
}

// What an export holds.
function exported(run, unit) {
  const { meta, tensors } = run, facts = meta.axes.map((name, axis) => [`output ${name}`, meta.formulas[axis]]);
  if (unit) facts.push(["chosen", unit.meta.text]);
  const maps = [["Input", tensors.x], ...(tensors.w ? [["Kernel", { shape: tensors.w.shape.slice(1), data: tensors.w.data }]] : []), ["Output", tensors.y]];
  const canvases = maps.map(([name, tensor]) => [gridCanvas(tensor), `${name}, ${tensor.shape.join(" x ")}${tensor.shape[0] > 1 ? ", channel 0" : ""}`]);
  if (meta.matrix.sent && meta.matrix.rows * meta.matrix.columns <= 4e6) {
    const canvas = document.createElement("canvas");
    drawMatrix(canvas, [meta.matrix.rows, meta.matrix.columns], tensors, scaleOf(tensors.weights.data, { signed: true }), null);
    canvases.push([canvas, `Matrix, ${meta.matrix.rows} x ${meta.matrix.columns}`]);
  }
  return { title: `Bench: ${meta.op}`, code: meta.code, facts, canvases };
}
