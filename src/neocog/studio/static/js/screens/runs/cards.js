// Samples as cards: a drawing, what is true, what was predicted, and the way to Image.
import { ask, useAnswer } from "../../api.js";
import { html, useEffect, useState } from "../../lib.js";
import { Export, Waits } from "../../parts.js";

const PAGE = 24;

export function Cards({ run, query, cells, bins, pick, go }) {
  const cell = Object.fromEntries(["truth", "prediction", "wrong", "bin", "label", "kind"].filter((name) => query[name]).map((name) => [name, query[name]]));
  const key = JSON.stringify([run.name, cell]);
  const [start, setStart] = useState({ key, at: 0 });
  const at = start.key === key ? start.at : 0;
  useEffect(() => setStart({ key, at: 0 }), [key]);
  const usual = Object.keys(cell).length ? cell : { wrong: "1" };
  const answer = useAnswer((signal) => ask("/api/runs/samples", { query: { run: run.name, ...usual, start: at, count: PAGE }, signal }), [key, at]);
  const by = cells && cells.by_class;
  return html`<section class="panel" aria-labelledby="cards-head"><${Waits} answer=${answer}>${(found) => html`<div class="head"><h2 id="cards-head">${headOf(usual, cells, bins)}: ${found.count.toLocaleString("en")} of ${found.of.toLocaleString("en")}</h2>
      ${by && html`<button aria-pressed=${!!cell.wrong && !cell.bin} onClick=${() => pick({ wrong: "1" })}>All errors</button>`}
      <${Export} view=${() => ({ title: `${headOf(usual, cells, bins)}, ${run.name}`, code: found.code, facts: found.samples.map((each) => [each.key, `${each.truth} -> ${each.prediction}`]) })} /></div>
    ${found.caption && html`<p class="small quiet">${found.caption}</p>`}
    ${found.legend.length > 0 && html`<ul class="legend-list small">${found.legend.map(([name, colour]) => html`<li key=${name}><span class="swatch" style=${{ background: colour }} aria-hidden="true" /> ${name}</li>`)}</ul>`}
    ${found.samples.length === 0 ? html`<p>None.</p>` : html`<ul class=${cells && cells.dense ? "cards wide" : "cards"}>${found.samples.map((each) => html`<${Card} key=${each.key} sample=${each} network=${networkOf(run)} go=${go} />`)}</ul>`}
    <${Pages} start=${at} shown=${found.samples.length} count=${found.count} to=${(next) => setStart({ key, at: next })} />`}</${Waits}></section>`;
}

export const networkOf = (run) => run.name.split(/[\\/]/).pop();

function headOf({ truth, prediction, bin, label, kind, wrong }, cells, bins) {
  if (label) return kind === "wrong" ? `Wrongly labelled ${label}` : `${label} missed`;
  if (truth && prediction) return truth === prediction ? `${truth}, rightly predicted` : `${truth} taken for ${prediction}`;
  if (bin) return `Errors at a confidence of ${Math.round((100 * bin) / bins)}% to ${Math.round((100 * (Number(bin) + 1)) / bins)}%`;
  return cells && !cells.by_class ? "The worst samples" : wrong ? "All errors" : "Samples";
}

export function Card({ sample, network, go, children }) {
  return html`<li><figure><${Drawn} sample=${sample} />
    <figcaption><span class="key" title=${sample.key}>${sample.key}</span>${children || html`<dl><dt>true</dt><dd>${sample.truth || "–"}</dd><dt>predicted</dt><dd>${sample.prediction || "–"}</dd></dl>`}
    ${network && html`<button class="small" aria-label=${`Open ${sample.key} in Image`} onClick=${() => go("image", { network, record: sample.key })}>Open in Image</button>`}</figcaption></figure></li>`;
}

// An image, the lines of a signal, or a text.
export function Drawn({ sample }) {
  if (sample.address) return html`<img src=${sample.address} alt=${sample.key} loading="lazy" />`;
  if (sample.curves && sample.curves.length) return html`<svg viewBox="0 0 100 40" role="img" aria-label=${`signal ${sample.key}`}>${sample.curves.map((points, i) => html`<polyline key=${i} points=${points} fill="none" stroke-width="0.7" style=${{ stroke: `var(--line-${i % 8})` }} />`)}</svg>`;
  return html`<blockquote>${sample.text || "can't be drawn"}</blockquote>`;
}

export function Pages({ start, shown, count, to }) {
  if (count <= shown) return null;
  return html`<div class="row pages"><button disabled=${start === 0} onClick=${() => to(Math.max(0, start - Math.max(shown, 1)))}>Back</button>
    <span class="small">${start + 1} to ${start + shown} of ${count.toLocaleString("en")}</span>
    <button disabled=${start + shown >= count} onClick=${() => to(start + shown)}>More</button></div>`;
}
