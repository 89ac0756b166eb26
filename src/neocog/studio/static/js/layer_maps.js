// The wall of maps of a layer, one map of it, and the numbers of one of its units, forward and backward.
import { ask, useAnswer } from "./api.js";
import { html, useMemo, useRef, useState } from "./lib.js";
import { Choice, Export, Heat, NumberField, NumberGrid, scaleOf, short, Tick, Waits, Wall } from "./parts.js";
import { asStrips, Bars, canvasesIn } from "./sample_view.js";
import { asDrawn, fromPlace, toPlace } from "./sample_draw.js";
import { at as part } from "./wire.js";

export function Maps({ asked, received, target, layer, chosen }) {
  const layers = useAnswer((stop) => ask("/api/anatomy/network", { query: { network: asked.network }, signal: stop }), [asked.network]);
  return html`<section class="panel" aria-label="Maps"><h2>Maps of every layer</h2><${Waits} answer=${layers}>${(value) => {
    const found = value.layers.find((each) => each.name === layer) || value.layers.find((each) => each.convolution) || value.layers[0];
    const at = value.layers.indexOf(found), step = (by) => value.layers[at + by] && chosen(value.layers[at + by].name);
    return html`<div class="row"><${Choice} label="Layer" value=${found.name} options=${value.layers.map((each) => [each.name, `${each.name} · ${each.operator} · ${[each.channels, ...each.places].join(" x ")}`])} onChange=${chosen} />
      <button onClick=${() => step(-1)} disabled=${at === 0}>Previous</button><button onClick=${() => step(1)} disabled=${at === value.layers.length - 1}>Next</button></div>
      <${LayerMaps} key=${found.name} layer=${found} asked=${asked} received=${received} target=${target} />`;
  }}</${Waits}></section>`;
}

function LayerMaps({ layer, asked, received, target }) {
  const panel = useRef();
  const [first, setFirst] = useState(0);
  const [common, setCommon] = useState(false);
  const [picked, setPicked] = useState(0);
  const [unit, setUnit] = useState(null);
  const query = { ...asked, layer: layer.name, first };
  const found = useAnswer((stop) => ask("/api/image/maps", { query, signal: stop }), [JSON.stringify(query)]);
  const { kind } = received.meta;
  return html`<div ref=${panel}><${Waits} answer=${found}>${({ meta, tensors: { maps } }) => {
    const count = maps.shape[0], channel = Math.min(picked, count - 1), spots = maps.shape.length - 1;
    const view = () => ({ title: `${meta.layer} on ${received.meta.name}`, code: meta.code, facts: [["Layer", meta.layer], ["Maps", [meta.channels, ...maps.shape.slice(1)].join(" x ")]], canvases: canvasesIn(panel.current) });
    return html`<div class="row middle"><${Tick} label="One scale for all channels" checked=${common} onChange=${setCommon} />
        ${meta.channels > count && html`<${NumberField} label=${`First channel, of ${meta.channels}`} value=${first} min=${0} max=${meta.channels - 1} step=${count} onChange=${(at) => at >= 0 && at < meta.channels && setFirst(at)} />`}<${Export} view=${view} /></div>
      ${spots === 0 ? html`<${Bars} values=${maps.data} title=${`${meta.layer}, one number for each channel`} picked=${unit ? unit[0] : undefined} onPick=${(k) => setUnit([first + k])} />`
      : html`<${Walls} maps=${maps} kind=${kind} title=${meta.layer} common=${common} picked=${channel} onPick=${(k) => { setPicked(k); setUnit(null); }} />
        <${OneMap} map=${part(maps, channel)} kind=${kind} title=${`Channel ${first + channel} of ${meta.layer}`} unit=${unit && unit[0] === first + channel ? unit.slice(1) : null} onPick=${(place) => setUnit([first + channel, ...place])} />
        <p class="small"><a href=${`#/filter?${new URLSearchParams({ network: asked.network, layer: layer.name, channel: first + channel })}`}>Channel ${first + channel} in Filter</a> · choose a place of the map for its numbers</p>`}
      ${unit && html`<${Unit} key=${unit.join()} query=${{ ...asked, layer: layer.name, unit: unit.join(","), target }} />`}`;
  }}</${Waits}></div>`;
}

function Walls({ maps, kind, title, ...rest }) {
  const strips = maps.shape.length === 2, across = Math.max(1, Math.min(8, Math.floor(700 / maps.shape[maps.shape.length - 1]))), tall = Math.ceil(8 / across);
  const shown = useMemo(() => (strips ? asStrips(maps, tall) : maps.shape.length === 3 ? asDrawn(kind, maps) : null), [maps, kind]);
  const signed = useMemo(() => maps.data.some((value) => value < 0), [maps]);
  if (!shown) return html`<p class="quiet">Maps with more than two axes are not drawn.</p>`;
  const zoom = strips ? across : Math.max(1, (maps.shape[0] <= 16 ? 96 : maps.shape[0] <= 64 ? 64 : 40) / shown.shape[2]);
  return html`<${Wall} maps=${shown} title=${title} signed=${signed} columns=${strips ? Math.max(1, Math.floor(1000 / (across * maps.shape[1]))) : undefined} zoom=${zoom} ...${rest} />`;
}

// A single map; of one axis it is a strip.
function OneMap({ map, kind, title, unit, onPick }) {
  const strip = map.shape.length === 1;
  const shown = useMemo(() => (strip ? { shape: [1, map.shape[0]], data: map.data } : asDrawn(kind, map)), [map, kind]);
  if (strip) return html`<${Bars} values=${map.data} title=${title} picked=${unit ? unit[0] : undefined} onPick=${(k) => onPick([k])} />`;
  const h = shown.shape[0], signed = map.data.some((value) => value < 0);
  return html`<${Heat} map=${shown} scale=${scaleOf(shown.data, { signed })} title=${title} size=${320} picked=${unit && fromPlace(kind, unit, h)} onPick=${(place) => onPick(toPlace(kind, place, h))} />`;
}

// One unit: the products that make it, and how the target's gradient reaches it and its weights.
function Unit({ query }) {
  const found = useAnswer((stop) => ask("/api/image/unit", { query, signal: stop }), [JSON.stringify(query)]);
  return html`<div class="unit"><${Waits} answer=${found}>${({ meta, tensors }) => {
    const view = () => ({ title: `Unit ${meta.unit.join(", ")} of ${meta.layer}`, code: meta.code, facts: [["Sum of products", short(meta.sum)], ["Bias", short(meta.bias)], ["Value", short(meta.value)], ["Delta", short(meta.delta)]], canvases: [] });
    const several = Array.from(tensors.sources.data).some((source) => source > 0);
    return html`<div class="head"><h3>Unit ${meta.unit.join(", ")} of ${meta.layer}</h3><${Export} view=${view} /></div>
      <p>Forward: <span class="number">${short(meta.sum)}</span> (sum of ${meta.count.toLocaleString("en")} products) + <span class="number">${short(meta.bias)}</span> = <strong class="number">${short(meta.value)}</strong>. Backward: the target's gradient with respect to it, delta, is <strong class="number">${short(meta.delta)}</strong>.</p>
      <div class="columns"><div><h4>What it reads</h4><${List} count=${meta.count} heads=${["Place", ...(several ? ["Input"] : []), "Value", "Weight", "Product", "Sent back"]} rows=${rowsOf(tensors, several)} /></div>
      ${meta.flows.map((flow, k) => html`<div key=${flow.layer}><h4>What ${flow.layer} sends back: ${short(flow.sum)}</h4><${List} count=${flow.count} heads=${["Its unit", "Delta", "Weight", "Product"]} rows=${flowRows(tensors, k)} /></div>`)}
      ${tensors.gradient && html`<div><h4>Gradient of its weights</h4><${Gradients} gradient=${tensors.gradient} /></div>`}</div>`;
  }}</${Waits}></div>`;
}

const placeAt = ({ shape: [, width], data }, k) => Array.from(data.subarray(k * width, (k + 1) * width)).join(", ");
function rowsOf(t, several) {
  return Array.from({ length: t.inputs.shape[0] }, (_, k) => [placeAt(t.places, k), ...(several ? [t.sources.data[k]] : []), t.inputs.data[k], t.weights.data[k], t.products.data[k], t.sent.data[k]]);
}
function flowRows(t, n) {
  return Array.from({ length: t[`weights${n}`].shape[0] }, (_, k) => [placeAt(t[`units${n}`], k), t[`deltas${n}`].data[k], t[`weights${n}`].data[k], t[`products${n}`].data[k]]);
}

function List({ heads, rows, count }) {
  const [most, setMost] = useState(12);
  if (!rows.length) return html`<p class="quiet small">Nothing.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${heads.join(", ")}><table><thead><tr>${heads.map((head, k) => html`<th key=${head} scope="col" class=${k ? "number" : ""}>${head}</th>`)}</tr></thead>
    <tbody>${rows.slice(0, most).map((row, i) => html`<tr key=${i}>${row.map((cell, k) => html`<td key=${k} class="number">${typeof cell === "number" ? short(cell) : cell}</td>`)}</tr>`)}</tbody></table></div>
    ${count > Math.min(most, rows.length) && html`<p class="small">The ${Math.min(most, rows.length)} largest products of ${count.toLocaleString("en")}. ${most < rows.length && html`<button onClick=${() => setMost(most * 4)}>More</button>`}</p>`}`;
}

function Gradients({ gradient: { shape, data } }) {
  const [channel, setChannel] = useState(0);
  const kernel = shape.slice(1), size = kernel.reduce((a, b) => a * b, 1), scale = scaleOf(data, { signed: true });
  if (kernel.length < 1) return html`<${Bars} values=${data} title="One number for each weight" />`;
  const flat = kernel.length === 1 ? [1, kernel[0]] : [kernel.slice(0, -1).reduce((a, b) => a * b, 1), kernel[kernel.length - 1]];
  return html`<${NumberField} label=${`Input channel, to ${shape[0] - 1}`} value=${channel} min=${0} max=${shape[0] - 1} onChange=${(at) => at >= 0 && at < shape[0] && setChannel(at)} />
    <div class="scroll" tabindex="0" role="region" aria-label="Gradient of the weights"><${NumberGrid} values=${data.subarray(channel * size, (channel + 1) * size)} shape=${flat} scale=${scale} title=${`Gradient of the weights of input channel ${channel}`} /></div>`;
}
