// What an answer rests on: the maps of a method beside those of its randomised twin.
import { ask, useAnswer } from "./api.js";
import { html, signal, useEffect, useRef, useState } from "./lib.js";
import { Choice, Export, Legend, short, Waits } from "./parts.js";
import { canvasesIn, SampleView } from "./sample_view.js";

const method = signal("gradcam"); // it stays while inputs change

export function Attributions({ asked, received, target }) {
  const [layer, setLayer] = useState("");
  const methods = useAnswer((stop) => ask("/api/image/methods", { query: { ...asked, target }, signal: stop }), [JSON.stringify(asked), target]);
  return html`<section class="panel" aria-label="Attributions"><${Waits} answer=${methods}>${(found) => {
    const chosen = found.methods.find((each) => each.name === method.value) || found.methods[0];
    const query = { ...asked, target, method: chosen.name, layer: chosen.layer ? layer : "" };
    return html`<div class="head"><h2>What the answer rests on</h2></div>
      <div class="row"><${Choice} label="Method" value=${chosen.name} options=${found.methods.map((each) => [each.name, each.title])} onChange=${(name) => { method.value = name; }} />
        ${chosen.layer && html`<${Choice} label="Layer" value=${layer} options=${[["", `the last with places: ${found.usual}`], ...found.layers]} onChange=${setLayer} />`}</div>
      <p class="small">${chosen.about}</p><${Pair} query=${query} received=${received} title=${chosen.title} />`;
  }}</${Waits}></section>`;
}

function Pair({ query, received, title }) {
  const panel = useRef();
  const keys = [JSON.stringify(query)];
  const found = useAnswer((stop) => ask("/api/image/attribution", { query, signal: stop }), keys, { wait: 80 });
  const twin = useAnswer((stop) => ask("/api/image/twin", { query, signal: stop }), keys, { wait: 160 });
  const view = () => {
    const { meta } = found.value, other = twin.value && twin.value.meta;
    const facts = [["Target", meta.target], ["Value", short(meta.logit)], ["Largest number of the map", short(meta.scale)], ...Object.entries(meta.figures).map(([name, value]) => [name, short(value)])];
    if (other) facts.push(["Randomised twin", other.reading], ...other.names.map((name, k) => [`random down to ${name}`, short(other.similarity[k])]));
    return { title: `${title}, ${meta.target}, ${received.meta.name}`, code: (other || meta).code, facts, canvases: canvasesIn(panel.current) };
  };
  return html`<div ref=${panel}><div class="pair"><${Waits} answer=${found}>${(value) => html`<${One} value=${value} received=${received} title=${title} />`}</${Waits}>
      <${Waits} answer=${twin}>${(value) => html`<${One} value=${value} received=${received} title=${`${title} on a random network`} twin />`}</${Waits}></div>
    ${twin.value && html`<${Similarity} meta=${twin.value.meta} />`}${found.value && html`<${Export} view=${view} />`}</div>`;
}

function One({ value: { meta, tensors }, received, title, twin }) {
  const map = tensors.map, reach = meta.empty ? 0 : meta.reach;
  const scale = { low: meta.signed ? -meta.reach : 0, high: meta.reach, map: meta.signed ? "over" : "overred" };
  const figures = Object.entries(meta.figures).map(([name, number]) => `${name} ${short(number)}`).join(", ");
  const box = meta.box.length && received.meta.kind === "image" ? [{ box: [meta.box[1], meta.box[0], meta.box[3], meta.box[2]], colour: "var(--mark)" }] : [];
  return html`<div><${SampleView} received=${received} map=${map} reach=${reach} boxes=${box} picked=${meta.place.length ? meta.place : null} title=${`${title} for ${meta.target}`} />
    <${Legend} scale=${scale} />
    <p class="small">${twin ? "Its value there" : `${meta.target}: value`} <span class="number">${short(meta.logit)}</span>, largest number of the map <span class="number">${short(meta.scale)}</span>${meta.empty ? html`<strong>, too little to be drawn</strong>` : ""}${meta.layer ? `, maps of ${meta.layer}` : ""}${figures ? ` · ${figures}` : ""}</p></div>`;
}

// How alike the maps stay while the weights are randomised from the output down.
function Similarity({ meta }) {
  const box = useRef();
  useEffect(() => {
    if (!meta.similarity.length) return undefined;
    const style = getComputedStyle(document.documentElement), ink = style.getPropertyValue("--quiet"), line = style.getPropertyValue("--line");
    const axis = { stroke: ink, grid: { stroke: line }, ticks: { stroke: line } };
    const at = meta.similarity.map((_, k) => k + 1);
    const plot = new uPlot({
      width: Math.max(240, Math.min(560, box.current.clientWidth)), height: 170, legend: { show: false }, cursor: { show: false },
      scales: { x: { time: false, range: [0.5, at.length + 0.5] }, y: { range: [-1, 1] } },
      axes: [{ ...axis, label: "steps of randomisation", values: (_, splits) => splits.map((k) => (Number.isInteger(k) ? k : "")) }, { ...axis, label: "rank correlation" }],
      series: [{}, { stroke: style.getPropertyValue("--accent"), width: 2, points: { show: true } }],
    }, [at, meta.similarity], box.current);
    plot.root.querySelectorAll("canvas").forEach((canvas) => { canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", `How alike the map stays: ${meta.names.map((name, k) => `random down to ${name}, ${short(meta.similarity[k])}`).join("; ")}`); });
    return () => plot.destroy();
  }, [meta]);
  return html`<div><p class=${{ good: "good", bad: "bad" }[meta.level] || ""}>The map ${meta.reading}${meta.similarity.length ? html` (rank correlation with that of the random network <span class="number">${short(meta.similarity[meta.similarity.length - 1])}</span>)` : ""}.</p>
    <div ref=${box} class="plot" />
    <details><summary>As a table</summary><table><tbody>${meta.names.map((name, k) => html`<tr key=${name}><th scope="row">random down to ${name}</th><td class="number">${short(meta.similarity[k])}</td></tr>`)}</tbody></table></details></div>`;
}
