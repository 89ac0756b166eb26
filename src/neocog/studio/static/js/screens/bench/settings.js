// The panel of settings: the operation, its sizes, its examples, and the layers of open networks.
import { ask, useAnswer } from "../../api.js";
import { html, useState } from "../../lib.js";
import { Choice, NumberField, Tick } from "../../parts.js";
import { EXAMPLES, OPS, toSetting } from "./query.js";

function Axes({ title, names, values, min, onChange }) {
  return html`<fieldset><legend>${title}</legend><div class="row">${values.map((value, axis) => html`<${NumberField} key=${axis} label=${names[axis]} value=${value} min=${min} max="64"
    onChange=${(next) => onChange(values.map((old, at) => (at === axis ? next : old)))} />`)}</div></fieldset>`;
}

// A panel that is closed at first where there is little room, so that the numbers come first.
function Folding({ title, children }) {
  const [open, setOpen] = useState(() => !matchMedia("(max-width: 60rem)").matches);
  return html`<details class="panel fold" open=${open} onToggle=${(event) => setOpen(event.target.open)}><summary><h2>${title}</h2></summary><div class="settings">${children}</div></details>`;
}

// `set` changes parts of the address; undefined removes one.
export function Settings({ query, set, put, overview }) {
  const presets = useAnswer((stop) => ask("/api/bench/presets", { signal: stop }), []);
  const own = toSetting({ ...query, layer: "" }), axes = own.size.length, pools = own.op === "max" || own.op === "average";
  const names = axes === 1 ? ["length"] : ["height", "width"];
  const join = (values) => values.join("x");
  const ends = axes === 1 ? ["before", "after"] : ["top", "bottom", "left", "right"];
  const filters = presets.value ? presets.value.filters : [], patterns = presets.value ? presets.value.patterns : ["digits"];
  if (query.layer) return html`<${Layer} query=${query} set=${set} put=${put} overview=${overview} />`;
  return html`<${Folding} title="Operation">
    <${Choice} label="Example" value="" options=${[["", "Choose one ..."], ...Object.keys(EXAMPLES)]} onChange=${(name) => EXAMPLES[name] && put("bench", EXAMPLES[name])} />
    <div class="row"><${Choice} label="Operation" value=${own.op} options=${OPS} onChange=${(op) => set({ op, w: undefined, bias: undefined, flip: undefined, ceil: undefined, count_pad: undefined, outpad: undefined })} />
      <${Choice} label="Axes" value=${String(axes)} options=${[["1", "One: a signal"], ["2", "Two: an image"]]} onChange=${(count) => set(count === "1"
        ? { size: "9", kernel: String(own.kernel[0]), stride: undefined, padding: undefined, dilation: undefined, outpad: undefined, x: undefined, w: undefined }
        : { size: "5x5", kernel: join([own.kernel[0], own.kernel[0]]), stride: undefined, padding: undefined, dilation: undefined, outpad: undefined, x: undefined, w: undefined })} /></div>
    <div class="pairs"><${Axes} title="Input" names=${names} values=${own.size} min="1" onChange=${(size) => set({ size: join(size) })} />
    <${Axes} title=${pools ? "Window" : "Kernel"} names=${names} values=${own.kernel} min="1" onChange=${(kernel) => set({ kernel: join(kernel), filter: undefined })} />
    <${Axes} title="Stride" names=${names} values=${own.stride} min="1" onChange=${(stride) => set({ stride: join(stride) })} />
    ${own.op !== "average" && html`<${Axes} title="Dilation" names=${names} values=${own.dilation} min="1" onChange=${(dilation) => set({ dilation: join(dilation) })} />`}</div>
    <fieldset><legend>Padding</legend><div class="row">${own.padding.flat().map((value, side) => html`<${NumberField} key=${side} label=${ends[side]} value=${value} min="0" max="64"
      onChange=${(next) => set({ padding: own.padding.flat().map((old, at) => (at === side ? next : old)).join(",") })} />`)}</div></fieldset>
    ${own.op === "transposed" && html`<${Axes} title="Output padding" names=${names} values=${own.output_padding} min="0" onChange=${(extra) => set({ outpad: join(extra) })} />`}
    <fieldset><legend>Channels</legend><div class="row"><${NumberField} label="in" value=${own.in_channels} min="1" max="32" onChange=${(next) => set({ in: next })} />
      ${!pools && html`<${NumberField} label="out" value=${own.out_channels} min="1" max="32" onChange=${(next) => set({ out: next })} />
      <${NumberField} label="groups" value=${own.groups} min="1" max="32" onChange=${(next) => set({ groups: next })} />`}</div></fieldset>
    <div class="row"><${Choice} label="Input values" value=${query.x ? "own" : own.pattern} options=${[...(query.x ? [["own", "your own"]] : []), ...patterns]} onChange=${(pattern) => set({ pattern, x: undefined })} />
      ${!pools && html`<${Choice} label="Kernel values" value=${query.w ? "own" : own.filter} options=${[...(query.w ? [["own", "your own"]] : []), ["", "small numbers"], ...filters.map(({ name, says }) => [name, `${name}: ${says}`])]}
        onChange=${(filter) => set({ filter, w: undefined, kernel: filter ? join(filters.find(({ name }) => name === filter).size.slice(0, axes)) : query.kernel })} />`}</div>
    ${own.op === "conv" && html`<${Tick} label="Flip the kernel: convolution in the sense of mathematics" checked=${own.flip} onChange=${(flip) => set({ flip: flip ? "1" : undefined })} />`}
    ${pools && html`<${Tick} label="Round the output size up (ceil mode)" checked=${own.ceil_mode} onChange=${(ceil) => set({ ceil: ceil ? "1" : undefined })} />`}
    ${own.op === "average" && html`<${Tick} label="Count the padding in the mean" checked=${own.count_include_pad} onChange=${(count) => set({ count_pad: count ? undefined : "0" })} />`}
    <${Networks} overview=${overview} put=${put} /></${Folding}>`;
}

function Networks({ overview, put }) {
  if (!overview.networks.length) return html`<p class="small quiet">With a network open, its layers can be taken apart here, with their real weights.</p>`;
  return html`<${Choice} label="A layer of a network" value="" options=${[["", "Choose a network ..."], ...overview.networks.map(({ name }) => name)]}
    onChange=${async (network) => {
      if (!network) return;
      const layers = await ask("/api/bench/layers", { query: { network } });
      if (layers.length) put("bench", { network, layer: layers[0].name });
    }} />`;
}

function Layer({ query, set, put, overview }) {
  const layers = useAnswer((stop) => ask("/api/bench/layers", { query: { network: query.network }, signal: stop }), [query.network]);
  const names = overview.networks.map(({ name }) => name), found = layers.value || [];
  const layer = found.find(({ name }) => name === query.layer), shape = layer ? layer.shape : [1];
  const unit = query.unit ? query.unit.split(/[x,]/).map(Number) : shape.slice(1).map((size) => Math.floor(size / 2));
  return html`<${Folding} title="A layer of a network">
    <${Choice} label="Network" value=${query.network || names[0]} options=${names} onChange=${async (network) => {
      const others = await ask("/api/bench/layers", { query: { network } });
      if (others.length) put("bench", { network, layer: others[0].name });
    }} />
    <${Choice} label="Layer" value=${query.layer} options=${found.map(({ name, operator, detail }) => [name, `${name}: ${operator} ${detail}`])} onChange=${(name) => put("bench", { network: query.network, layer: name, input: query.input })} />
    ${layer && html`<p class="small quiet">Output ${shape.join(" x ")}</p><div class="row"><${NumberField} label="Output channel" value=${query.channel || 0} min="0" max=${shape[0] - 1} onChange=${(channel) => set({ channel })} />
      ${query.input && shape.slice(1).map((size, axis) => html`<${NumberField} key=${axis} label=${shape.length === 2 ? "unit" : ["row", "column"][axis]} value=${unit[axis]} min="0" max=${size - 1}
        onChange=${(next) => set({ unit: unit.map((old, at) => (at === axis ? next : old)).join(",") })} />`)}</div>`}
    <p class="small">${query.input ? "The maps are those that this layer receives, around the unit." : "The weights are real; the input is made up. Send an input on the screen Image, and open the layer from there, to see its real maps."}</p>
    <button onClick=${() => put("bench", {})}>Back to numbers of your own</button></${Folding}>`;
}
