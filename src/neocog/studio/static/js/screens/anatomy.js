// Anatomy: the network as it is executed, and what a unit of a layer sees of the input.
import { ask, useAnswer } from "../api.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Choice, escaped, Export, Legend, NumberField, save, Waits } from "../parts.js";
import { canvasesIn, SampleView } from "../sample_view.js";
import { networkOf, SamplePick, useInput } from "../sample_pick.js";

const [WIDE, TALL, ACROSS, DOWN, EDGE] = [300, 46, 330, 70, 40];

export function Anatomy({ overview, query, go, put }) {
  const network = networkOf(overview, query);
  return html`<div class="net"><${AnatomyOf} key=${network.name} ...${{ overview, network, query, go, put }} /></div>`;
}

function AnatomyOf({ overview, network, query, go, put }) {
  const input = useInput(network, query);
  const found = useAnswer((stop) => ask("/api/anatomy/network", { query: { network: network.name }, signal: stop }), [network.name]);
  const choose = (layer) => put("anatomy", { network: network.name, layer });
  return html`<div class="head"><h1>Anatomy</h1>
    <${Choice} label="Network" value=${network.name} options=${overview.networks.map((each) => each.name)} onChange=${(name) => go("anatomy", { network: name })} /></div>
    <${Waits} answer=${found}>${(value) => html`<${Network} key=${value.network} value=${value} network=${network} input=${input} layer=${query.layer} choose=${choose} go=${go} />`}</${Waits}>`;
}

function Network({ value, network, input, layer, choose, go }) {
  const drawing = useRef(), picture = useRef(null);
  useEffect(() => { painted(standalone(drawing.current)).then((canvas) => { picture.current = canvas; }, () => {}); }, [value]);
  const chosen = value.layers.find((each) => each.name === layer) || value.layers[0];
  useEffect(() => { // show the chosen box, without moving the page
    const box = drawing.current.querySelector("g.on rect"), frame = drawing.current, top = box ? Number(box.getAttribute("y")) : 0;
    if (top < frame.scrollTop || top + TALL > frame.scrollTop + frame.clientHeight) frame.scrollTop = top - frame.clientHeight / 3;
  }, [chosen.name]);
  const view = () => ({ title: `${value.network}: ${value.model}`, code: value.code, facts: [...value.totals, ...value.layers.map((each) => [each.name, `${each.operator} ${each.detail} · ${each.shape.join(" x ")} · ${each.parameters.toLocaleString("en")} parameters`])], canvases: picture.current ? [[picture.current, `${value.model} as executed`]] : [] });
  return html`<div class="anatomy">
    <section class="panel drawing" aria-label="The network as executed"><div class="head"><h2>${value.model} on ${value.input_shape.join(" x ")}</h2>
      <button onClick=${() => save(new Blob([standalone(drawing.current)], { type: "image/svg+xml" }), `${value.network}-graph.svg`)}>Save as SVG</button><${Export} view=${view} /></div>
      <div class="scroll layout" tabindex="0" role="region" aria-label="Drawing" ref=${drawing}><${Graph} value=${value} chosen=${chosen} choose=${choose} /></div></section>
    <div class="stack">
      <section class="panel" aria-label="Totals"><h2>In all</h2><table><tbody>${value.totals.map(([name, text]) => html`<tr key=${name}><th scope="row">${name}</th><td class="number">${text}</td></tr>`)}</tbody></table></section>
      <${LayerPanel} key=${chosen.name} layer=${chosen} network=${network} input=${input} go=${go} />
      <section class="panel" aria-label="Advice"><h2>Advice</h2>${value.advice.length ? html`<ul>${value.advice.map((line) => html`<li key=${line}>${line}</li>`)}</ul>` : html`<p>Nothing stands out.</p>`}</section>
    </div>
    <section class="panel wide" aria-label="Layers"><h2>Layers</h2><${Table} layers=${value.layers} chosen=${chosen} choose=${choose} /></section></div>`;
}

// Boxes from top to bottom in the order of execution, branches side by side.
function Graph({ value, chosen, choose }) {
  const { boxes, lanes } = value;
  const width = 2 * EDGE + lanes * ACROSS - (ACROSS - WIDE), height = 2 * EDGE + boxes.length * DOWN;
  const act = (k) => boxes[k].layers.length && choose(boxes[k].layers[0]);
  return html`<svg class="graph" width=${width} height=${height} viewBox=${`0 0 ${width} ${height}`} role="group" aria-label=${`${boxes.length} boxes, from the input at the top to the output at the bottom`}>
    ${boxes.map((box, k) => box.sources.map((source) => html`<path key=${`${source}-${k}`} d=${edge(boxes, source, k)} />`))}
    ${boxes.map((box, k) => {
      const x = EDGE + box.lane * ACROSS, y = EDGE + k * DOWN;
      const button = box.layers.length > 0, on = box.layers.includes(chosen.name);
      return html`<g key=${k} class=${`box ${box.kind} ${on ? "on" : ""}`} role=${button ? "button" : "img"} tabindex=${button ? 0 : undefined} aria-pressed=${button ? on : undefined}
        aria-label=${`${box.head}, ${box.small}, ${box.modules}`} onClick=${() => act(k)} onKeyDown=${(event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); act(k); } }}>
        <title>${box.modules}</title><rect x=${x} y=${y} width=${WIDE} height=${TALL} rx="6" />
        <text x=${x + 12} y=${y + 19}>${cut(box.head, 44)}</text><text class="note" x=${x + 12} y=${y + 36}>${cut(box.small, 50)}</text></g>`;
    })}</svg>`;
}

const cut = (text, most) => (text.length > most ? `${text.slice(0, most - 3)}...` : text);

// A line from box to box; one that would cross others in its lane goes round them on the left.
function edge(boxes, source, target) {
  const corner = (k) => [EDGE + boxes[k].lane * ACROSS, EDGE + k * DOWN];
  const [a, b] = [boxes[source], boxes[target]], [x0, y] = corner(source), [x1, y1] = corner(target), y0 = y + TALL;
  if (a.lane === b.lane && boxes.slice(source + 1, target).some((box) => box.lane === a.lane)) {
    return `M${x0 + 16} ${y0} C${x0 - 24} ${y0 + 20} ${x0 - 24} ${y1 - 20} ${x0 + 16} ${y1}`;
  }
  const gap = DOWN - TALL, turn = b.lane > a.lane ? y0 : y1 - gap, [m0, m1] = [x0 + WIDE / 2, x1 + WIDE / 2];
  return `M${m0} ${y0} L${m0} ${turn} C${m0} ${turn + gap} ${m1} ${turn} ${m1} ${turn + gap} L${m1} ${y1}`;
}

const SHEET = "text{font-family:system-ui,sans-serif;font-size:12px;fill:#1a1a1a}.note{font-size:10.5px;fill:#444}rect{fill:#f6f6f6;stroke:#8a94a6}.conv rect{fill:#dbe9fb}.linear rect,.matmul rect{fill:#e6defa}.pool rect{fill:#d9f2e3}.join rect{fill:#fdebcf}.input rect{fill:#eee}path{fill:none;stroke:#8a94a6;stroke-width:1.5}";
function standalone(node) {
  const copy = node.querySelector("svg").cloneNode(true);
  copy.setAttribute("xmlns", "http://www.w3.org/2000/svg");
  return new XMLSerializer().serializeToString(copy).replace(/(<svg[^>]*>)/, `$1<style>${escaped(SHEET)}</style>`);
}

// The same as pixels, for exports: at most 6,000 to a side.
async function painted(text) {
  const image = new Image();
  await new Promise((done, failed) => Object.assign(image, { onload: done, onerror: failed, src: `data:image/svg+xml;charset=utf-8,${encodeURIComponent(text)}` }));
  const part = Math.min(1, 6000 / Math.max(image.width, image.height)), canvas = Object.assign(document.createElement("canvas"), { width: image.width * part, height: image.height * part });
  canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
  return canvas;
}

function Table({ layers, chosen, choose }) {
  const heads = ["Layer", "Operator", "Input", "Output", "Parameters", "MACs", "Memory", "Sees", "Stride"];
  return html`<div class="scroll" tabindex="0" role="region" aria-label="Table of layers"><table><thead><tr>${heads.map((head, k) => html`<th key=${head} scope="col" class=${k > 3 && k < 7 ? "number" : ""}>${head}</th>`)}</tr></thead>
    <tbody>${layers.map((each) => html`<tr key=${each.name} class=${each.name === chosen.name ? "chosen" : ""}><td><button class="link" aria-pressed=${each.name === chosen.name} onClick=${() => choose(each.name)}>${each.name}</button></td>
      <td>${each.operator} ${each.detail}</td><td>${each.inputs.map((shape) => shape.join("x")).join(", ")}</td><td>${each.shape.join("x")}</td>
      <td class="number">${each.parameters.toLocaleString("en")}</td><td class="number">${each.macs.toLocaleString("en")}</td><td class="number">${each.memory}</td><td>${each.sees}</td><td>${each.stride}</td></tr>`)}</tbody></table></div>`;
}

// One layer: its figures, its units, and what the chosen unit sees.
function LayerPanel({ layer, network, input, go }) {
  const [unit, setUnit] = useState(layer.places.map((size) => Math.floor(size / 2)));
  const [channel, setChannel] = useState("");
  const facts = [["Operator", `${layer.operator} ${layer.detail}`], ["Output", layer.shape.join(" x ")], ["Parameters", layer.parameters.toLocaleString("en")], ["MACs", layer.macs.toLocaleString("en")], ["Sees", layer.sees]];
  const axes = layer.places.length === 2 ? ["Row", "Column"] : ["Place"];
  return html`<section class="panel" aria-label="Layer"><h2>${layer.name}</h2>
    <table><tbody>${facts.map(([name, text]) => html`<tr key=${name}><th scope="row">${name}</th><td>${text}</td></tr>`)}</tbody></table>
    <p class="row links">${layer.convolution && html`<a href=${`#/bench?${new URLSearchParams({ network: network.name, layer: layer.name })}`}>Open in Bench</a>`}
      <a href=${`#/filter?${new URLSearchParams({ network: network.name, layer: layer.name })}`}>Open in Filter</a>
      <a href=${`#/image?${new URLSearchParams({ network: network.name, layer: layer.name })}`}>Its maps on an input</a></p>
    <h3>What a unit sees</h3>
    <div class="row">${layer.places.map((size, k) => html`<${NumberField} key=${k} label=${`${axes[k] || `Axis ${k}`}, to ${size - 1}`} value=${unit[k]} min=${0} max=${size - 1}
      onChange=${(at) => Number.isInteger(at) && at >= 0 && at < size && setUnit(unit.map((old, i) => (i === k ? at : old)))} />`)}
      <${NumberField} label=${`Channel, to ${layer.channels - 1}; empty: all`} value=${channel} min=${0} max=${layer.channels - 1} onChange=${(at) => at >= 0 && at < layer.channels && setChannel(at)} />
      ${channel !== "" && html`<button onClick=${() => setChannel("")}>All channels</button>`}</div>
    ${layer.places.length === 2 && html`<${UnitGrid} places=${layer.places} unit=${unit} choose=${setUnit} />`}
    <${Seen} layer=${layer} unit=${unit} channel=${channel} network=${network} input=${input} />
    <details><summary>Choose an input, for the effective field</summary><${SamplePick} network=${network} input=${input} go=${go} /></details></section>`;
}

// The units of a layer to point at; arrows move, and pointing chooses.
function UnitGrid({ places: [h, w], unit, choose }) {
  const canvas = useRef();
  useEffect(() => {
    const node = canvas.current, pen = (node.width = w, node.height = h, node.getContext("2d"));
    for (let y = 0; y < h; y++) for (let x = 0; x < w; x++) { pen.fillStyle = (x + y) % 2 ? "#c4cdd8" : "#e3e8ee"; pen.fillRect(x, y, 1, 1); }
    pen.fillStyle = "#b45309";
    pen.fillRect(unit[1], unit[0], 1, 1);
  }, [h, w, String(unit)]);
  const from = (event) => { const box = canvas.current.getBoundingClientRect(); const at = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(share * count))); return [at((event.clientY - box.top) / box.height, h), at((event.clientX - box.left) / box.width, w)]; };
  const keys = (event) => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (move) { event.preventDefault(); choose([Math.min(h - 1, Math.max(0, unit[0] + move[0])), Math.min(w - 1, Math.max(0, unit[1] + move[1]))]); }
  };
  const move = (event) => { const at = from(event); if (at[0] !== unit[0] || at[1] !== unit[1]) choose(at); };
  return html`<canvas ref=${canvas} class="units" tabindex="0" role="img" aria-label=${`The ${h} by ${w} units of this layer; unit ${unit.join(", ")}. Arrow keys move.`} onPointerMove=${move} onKeyDown=${keys}
    style=${{ width: `${Math.round(w >= h ? 160 : (160 * w) / h)}px`, aspectRatio: `${w} / ${h}` }} />`;
}

function Seen({ layer, unit, channel, network, input }) {
  const [shows, setShows] = useState("support");
  const panel = useRef();
  const asked = { network: network.name, layer: layer.name, unit: unit.join(","), channel, input: input.key };
  const found = useAnswer((stop) => ask("/api/anatomy/unit", { query: asked, signal: stop }), [JSON.stringify(asked)], { wait: 60 });
  const received = useAnswer((stop) => (input.key ? ask("/api/image/received", { query: { network: network.name, input: input.key }, signal: stop }) : Promise.resolve(null)), [network.name, input.key]);
  return html`<div ref=${panel}><${Waits} answer=${found}>${({ meta, tensors }) => {
    const energy = tensors.energy && shows === "energy", map = asMap(energy ? tensors.energy : tensors.support);
    const size = meta.box ? meta.box.map(([a, b]) => b - a + 1).join(" x ") : "nothing";
    const text = meta.box ? `Unit ${meta.unit.join(", ")} sees ${size} of the input (${meta.box.map(([a, b]) => `${a} to ${b}`).join(", ")}) and reads ${meta.reads.toLocaleString("en")} of its values${meta.exact ? "" : " at most"}.` : `Unit ${meta.unit.join(", ")} reads nothing of the input.`;
    const effective = meta.side_95 !== undefined ? ` 95% of the gradient's energy lies within ${meta.side_95} places around the middle, ${(100 * meta.share).toFixed(0)}% of the field.` : "";
    const view = () => ({ title: `What unit ${meta.unit.join(", ")} of ${meta.layer} sees`, code: meta.code, facts: [["Sees", size], ["Reads", String(meta.reads)], ["Said", text + effective]], canvases: canvasesIn(panel.current) });
    const scale = { low: 0, high: energy ? reachOf(map.data) : 1, map: "overred" }, places = map.shape;
    const boxes = meta.box && places.length === 2 ? [{ box: [meta.box[0][0], meta.box[1][0], meta.box[0][1] + 1, meta.box[1][1] + 1], colour: "var(--mark)" }] : [];
    const shown = received.value || plain(tensors.support);
    return html`<p role="status">${text}${effective}</p>
      ${tensors.energy && html`<${Choice} label="Show" value=${shows} options=${[["support", "the true support"], ["energy", "the effective field"]]} onChange=${setShows} />`}
      <${SampleView} received=${shown} map=${map} reach=${scale.high} boxes=${shown.meta.kind === "board" || shown.meta.kind === "spectrogram" ? [] : boxes} title=${energy ? "Effective field: the gradient's energy at each place of the input" : "Support and box on the input"} />
      ${energy && html`<${Legend} scale=${scale} />`}<${Export} view=${view} />`;
  }}</${Waits}></div>`;
}

// Where the colours end: at the largest number, or at the 99.5th percentile if that is not far below.
function reachOf(data) {
  const sorted = Float64Array.from(data).sort(), most = sorted[sorted.length - 1], usual = sorted[Math.floor(0.995 * (sorted.length - 1))];
  return usual >= most / 10 ? usual : most;
}

const asMap = ({ shape, data }) => ({ shape, data: data instanceof Uint8Array ? Float32Array.from(data) : data });
// The places of an input that isn't chosen, as an empty image or curve.
function plain({ shape, data }) {
  if (shape.length === 1) return { meta: { kind: "curves", shape: [1, shape[0]] }, tensors: { curves: { shape: [1, shape[0]], data: new Float32Array(shape[0]) } } };
  return { meta: { kind: "image", shape: [1, ...shape] }, tensors: { pixels: { shape: [1, ...shape], data: new Uint8Array(data.length).fill(225) } } };
}
