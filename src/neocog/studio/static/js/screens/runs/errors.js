// What a run gets wrong: its metrics, the confusion matrix, calibration, and the samples behind each of them.
import { ask, useAnswer } from "../../api.js";
import { short } from "../../draw.js";
import { JobProgress, Notes, useJob, useOpened } from "../../jobs.js";
import { html, useEffect, useRef } from "../../lib.js";
import { Export, Heat, Waits } from "../../parts.js";
import { Cards } from "./cards.js";
import { drawConfusion, drawReliability } from "./figures.js";

const CELLS = 20; // classes of a matrix that is written as a table

export const percent = (metric) => (metric.is_share ? (value) => `${(100 * value).toFixed(2)}%` : (value) => short(value));

export function Errors({ chosen, query, move, go }) {
  const run = chosen[0];
  if (!run) return null;
  if (!run.finished) return html`<section class="panel"><h2>${run.name}</h2><p>A run is measured when it is finished. This one is at epoch ${run.epochs}.</p></section>`;
  return html`<${Measured} key=${run.name} run=${run} query=${query} move=${move} go=${go} />`;
}

function Measured({ run, query, move, go }) {
  const stored = useAnswer((signal) => ask("/api/runs/evaluation", { query: { run: run.name }, signal }), [run.name]);
  const work = useJob(`score:${run.name}`);
  const begin = () => work.start("/api/runs/score", { run: run.name });
  const done = work.job && work.job.state === "done";
  useOpened(done);
  const cells = useAnswer(async (signal) => (done ? ask("/api/runs/cells", { query: { run: run.name }, signal }) : null), [run.name, !!done]);
  const asked = ["truth", "prediction", "wrong", "bin", "label"].some((name) => query[name]);
  useEffect(() => { if (asked && run.has_model && !work.job && !work.error) begin(); }, [asked, run.name]);
  const pick = (parts) => {
    move({ run: run.name, view: "errors", truth: undefined, prediction: undefined, wrong: undefined, bin: undefined, label: undefined, kind: undefined, ...parts });
    if (run.has_model && (!work.job || work.job.state !== "running")) begin();
  };
  return html`<${Waits} answer=${stored}>${(found) => html`<div class="stack">
    <section class="panel" aria-labelledby="metrics-head"><div class="head"><h2 id="metrics-head">${found.count.toLocaleString("en")} samples of ${found.data}, ${found.split}</h2>
        <${Export} view=${() => ({ title: `Metrics of ${run.name}`, code: found.code, facts: found.metrics.map((m) => [m.name, said(m)]) })} /></div>
      <${Metrics} metrics=${found.metrics} />
      ${!run.has_model ? html`<p>The model of this run is not there, so only what it has stored is shown.</p>`
        : !work.job ? html`<p class="row"><button class="main" onClick=${() => pick({ wrong: "1" })}>Find the samples</button> <span class="small quiet">The model goes through the data once; after that, every cell opens at once.</span></p>` : null}
      <${JobProgress} work=${work} again=${begin} /><${Notes} job=${work.job} /></section>
    <div class="columns">${found.confusion && found.confusion_of === "samples" && html`<${Confusion} run=${run} found=${found} query=${query} pick=${pick} />`}
      ${found.reliability && html`<${Reliability} run=${run} found=${found} query=${query} pick=${pick} />`}
      ${cells.value && cells.value.labels && html`<${Labels} labels=${cells.value.labels} query=${query} pick=${pick} />`}</div>
    ${done && html`<${Cards} run=${run} query=${query} cells=${cells.value} bins=${found.bins} pick=${pick} go=${go} />`}
    ${!done && found.worst.length > 0 && html`<${Worst} rows=${found.worst} />`}
    ${found.per_class.rows.length > 0 && html`<${PerClass} table=${found.per_class} />`}</div>`}</${Waits}>`;
}

const said = (m) => { const p = percent(m); return `${p(m.value)} [${p(m.low)}, ${p(m.high)}]`; };

export function Metrics({ metrics }) {
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Metrics"><table><thead><tr><th scope="col">metric</th><th scope="col" class="number">value</th><th scope="col" class="number">95% interval</th></tr></thead>
    <tbody>${metrics.map((m) => { const p = percent(m); return html`<tr key=${m.name} title=${m.method}><th scope="row">${m.name}</th><td class="number">${p(m.value)}</td><td class="number">${p(m.low)} – ${p(m.high)}</td></tr>`; })}</tbody></table></div>`;
}

function Confusion({ run, found, query, pick }) {
  const { classes, confusion } = found, canvas = useRef(), large = classes.length > CELLS;
  useEffect(() => { if (canvas.current) drawConfusion(canvas.current, classes, confusion); }, [confusion]);
  const flat = Float32Array.from(confusion.flatMap((row) => { const sum = row.reduce((a, b) => a + b, 0) || 1; return row.map((count) => count / sum); }));
  const at = [classes.indexOf(query.truth), classes.indexOf(query.prediction)];
  return html`<section class=${classes.length > 5 ? "panel whole" : "panel"} aria-labelledby="confusion-head"><div class="head"><h2 id="confusion-head">Confusion matrix</h2>
      <${Export} view=${() => ({ title: `Confusion matrix of ${run.name}`, code: found.code, canvases: [[canvas.current, "rows: true class, columns: predicted class"]] })} /></div>
    <p class="small quiet">Rows: true class. Columns: predicted class. Choose a cell to see its samples.</p>
    ${large ? html`<${Heat} title="Share of each true class" map=${{ shape: confusion.map.length ? [classes.length, classes.length] : [0, 0], data: flat }} size=${480} picked=${at[0] >= 0 && at[1] >= 0 ? at : null} onPick=${([y, x]) => pick({ truth: classes[y], prediction: classes[x] })} />
      <${Frequent} classes=${classes} confusion=${confusion} pick=${pick} />`
      : html`<div class="scroll" tabindex="0" role="region" aria-label="Confusion matrix"><table class="confusion"><thead><tr><th scope="col"><span class="hidden">true class</span></th>${classes.map((name) => html`<th key=${name} scope="col" class="number">${name}</th>`)}</tr></thead>
        <tbody>${confusion.map((row, y) => { const sum = row.reduce((a, b) => a + b, 0) || 1; return html`<tr key=${y}><th scope="row">${classes[y]}</th>${row.map((count, x) => html`<td key=${x} class=${y === at[0] && x === at[1] ? "number chosen" : "number"} style=${{ background: shade(count / sum, y === x) }}>
          ${count ? html`<button class="cell" aria-pressed=${y === at[0] && x === at[1]} aria-label=${`${count} of ${classes[y]} predicted as ${classes[x]}`} onClick=${() => pick({ truth: classes[y], prediction: classes[x] })}>${count}</button>` : html`<span class="quiet">0</span>`}</td>`)}</tr>`; })}</tbody></table></div>`}
    <canvas ref=${canvas} hidden aria-hidden="true" /></section>`;
}

const shade = (share, right) => (share ? `color-mix(in srgb, var(${right ? "--accent" : "--bad"}) ${Math.round(10 + 35 * Math.sqrt(share))}%, transparent)` : "none");

function Frequent({ classes, confusion, pick }) {
  const pairs = confusion.flatMap((row, y) => row.map((count, x) => [count, y, x])).filter(([count, y, x]) => count && y !== x).sort((a, b) => b[0] - a[0]).slice(0, 12);
  return html`<h3>The most frequent errors</h3><ul class="plain">${pairs.map(([count, y, x]) => html`<li key=${`${y},${x}`}><button onClick=${() => pick({ truth: classes[y], prediction: classes[x] })}>${classes[y]} taken for ${classes[x]}: ${count}</button></li>`)}</ul>`;
}

function Reliability({ run, found, query, pick }) {
  const canvas = useRef();
  useEffect(() => {
    const draw = () => drawReliability(canvas.current, found.reliability);
    draw();
    const themed = new MutationObserver(draw);
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => themed.disconnect();
  }, [found]);
  const words = found.reliability.map((bin) => `confidence ${(100 * bin.confidence).toFixed(0)}%: right ${(100 * bin.accuracy).toFixed(0)}%`).join("; ");
  return html`<section class="panel" aria-labelledby="reliability-head"><div class="head"><h2 id="reliability-head">Reliability</h2>
      <${Export} view=${() => ({ title: `Reliability of ${run.name}`, code: found.code, canvases: [[canvas.current, "accuracy by confidence"]] })} /></div>
    <p class="small quiet">How often the network is right, by how sure it is. On the diagonal, its confidence can be taken at its word; below, it is too sure.</p>
    <canvas ref=${canvas} class="smooth reliability" role="img" aria-label=${`Reliability diagram. ${words}.`} />
    <details><summary>The bars as a table</summary><table><thead><tr><th scope="col" class="number">confidence</th><th scope="col" class="number">right</th><th scope="col" class="number">samples</th><th scope="col"><span class="hidden">show</span></th></tr></thead><tbody>
      ${found.reliability.map((bin) => { const place = String(Math.round(bin.low * found.bins)); return html`<tr key=${bin.low} aria-selected=${query.bin === place}><td class="number">${(100 * bin.confidence).toFixed(1)}%</td><td class="number">${(100 * bin.accuracy).toFixed(1)}%</td><td class="number">${bin.count}</td>
        <td><button aria-label=${`Errors at a confidence of ${(100 * bin.confidence).toFixed(0)}%`} onClick=${() => pick({ bin: place, wrong: "1" })}>errors</button></td></tr>`; })}</tbody></table></details></section>`;
}

function Labels({ labels, query, pick }) {
  return html`<section class="panel" aria-labelledby="labels-head"><h2 id="labels-head">Labels</h2><div class="scroll" tabindex="0" role="region" aria-label="Labels"><table><thead><tr><th scope="col">label</th><th scope="col" class="number">missed</th><th scope="col" class="number">given wrongly</th></tr></thead>
    <tbody>${labels.map((each) => html`<tr key=${each.name} aria-selected=${query.label === each.name}><th scope="row">${each.name}</th>${["missed", "wrong"].map((kind) => html`<td key=${kind} class="number">${each[kind] ? html`<button class="cell" aria-label=${`${each.name}: ${each[kind]} ${kind === "missed" ? "missed" : "given wrongly"}`} aria-pressed=${query.label === each.name && query.kind === kind} onClick=${() => pick({ label: each.name, kind })}>${each[kind]}</button>` : "0"}</td>`)}</tr>`)}</tbody></table></div></section>`;
}

function Worst({ rows }) {
  return html`<section class="panel" aria-labelledby="worst-head"><h2 id="worst-head">The worst errors, as the run has stored them</h2><div class="scroll" tabindex="0" role="region" aria-label="Worst errors"><table><thead><tr><th scope="col">sample</th><th scope="col">truth</th><th scope="col">prediction</th></tr></thead>
    <tbody>${rows.map((row, i) => html`<tr key=${i}><th scope="row">${row.key}</th><td>${row.truth}</td><td>${row.prediction}</td></tr>`)}</tbody></table></div></section>`;
}

function PerClass({ table }) {
  return html`<section class="panel" aria-labelledby="classes-head"><h2 id="classes-head">By class</h2><div class="scroll tall" tabindex="0" role="region" aria-label="Metrics by class"><table><thead><tr>${table.head.map((name, i) => html`<th key=${name} scope="col" class=${i ? "number" : ""}>${name}</th>`)}</tr></thead>
    <tbody>${table.rows.map((row, i) => html`<tr key=${i}>${row.map((cell, j) => (j ? html`<td key=${j} class="number">${Number.isInteger(cell) ? cell.toLocaleString("en") : typeof cell === "number" ? short(cell) : cell ?? "–"}</td>` : html`<th key=${j} scope="row">${cell}</th>`))}</tr>`)}</tbody></table></div></section>`;
}
