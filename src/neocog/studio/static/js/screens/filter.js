// Filter: one channel of a layer, by its kernel, the patches that excite it, and what it answers to.
import { ask, useAnswer } from "../api.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { Choice, Export, Heat, Legend, NumberField, NumberGrid, Problem, scaleOf, short, Waits } from "../parts.js";
import { asStrips, Bars, canvasesIn, SampleView } from "../sample_view.js";
import { networkOf, SamplePick, useInput } from "../sample_pick.js";
import { at as part } from "../wire.js";

export function Filter({ overview, query, go, put }) {
  const network = networkOf(overview, query);
  return html`<div class="net"><${FilterOf} key=${network.name} ...${{ overview, network, query, go, put }} /></div>`;
}

function FilterOf({ overview, network, query, go, put }) {
  const input = useInput(network, query);
  const layers = useAnswer((stop) => ask("/api/anatomy/network", { query: { network: network.name }, signal: stop }), [network.name]);
  const move = (change) => put("filter", { network: network.name, layer: query.layer, channel: query.channel, ...change });
  return html`<div class="head"><h1>Filter</h1><${Choice} label="Network" value=${network.name} options=${overview.networks.map((each) => each.name)} onChange=${(name) => go("filter", { network: name })} /></div>
    <${Waits} answer=${layers}>${(value) => {
      const layer = value.layers.find((each) => each.name === query.layer) || value.layers.find((each) => each.convolution) || value.layers[0];
      const channel = Math.min(layer.channels - 1, Math.max(0, Number(query.channel) || 0));
      const asked = { network: network.name, layer: layer.name, channel };
      return html`<div class="row filterbar"><${Choice} label="Layer" value=${layer.name} options=${value.layers.map((each) => [each.name, `${each.name} · ${each.operator} · ${each.channels} channels`])} onChange=${(name) => move({ layer: name, channel: 0 })} />
        <${NumberField} label=${`Channel, to ${layer.channels - 1}`} value=${channel} min=${0} max=${layer.channels - 1} onChange=${(at) => Number.isInteger(at) && at >= 0 && at < layer.channels && move({ layer: layer.name, channel: at })} />
        <button disabled=${channel === 0} onClick=${() => move({ layer: layer.name, channel: channel - 1 })}>Previous</button><button disabled=${channel === layer.channels - 1} onClick=${() => move({ layer: layer.name, channel: channel + 1 })}>Next</button>
        ${layer.convolution && html`<a href=${`#/bench?${new URLSearchParams({ network: network.name, layer: layer.name })}`}>Open in Bench</a>`}</div>
        <div class="filter" key=${JSON.stringify(asked)}><${Kernel} asked=${asked} layer=${layer} /><${Synthesised} asked=${asked} network=${network} /><${Patches} asked=${asked} network=${network} />
          <${OnInput} asked=${asked} layer=${layer} network=${network} input=${input} /></div>`;
    }}</${Waits}>`;
}

function Kernel({ asked, layer }) {
  const panel = useRef();
  const [shown, setShown] = useState(0);
  if (!layer.weights) return html`<section class="panel" aria-label="Kernel"><h2>Kernel</h2><p class="quiet">This layer has no weights of its own: ${layer.operator}. Its channel is that of the layers before it.</p></section>`;
  const found = useAnswer((stop) => ask("/api/filter/kernel", { query: asked, signal: stop }), [JSON.stringify(asked)]);
  return html`<section class="panel" aria-label="Kernel" ref=${panel}><h2>Kernel</h2><${Waits} answer=${found}>${({ meta, tensors: { kernel } }) => {
    const scale = scaleOf(kernel.data, { signed: true }), spots = kernel.shape.length - 1, view = () => ({ title: `Kernel of channel ${meta.channel} of ${meta.layer}`, code: meta.code, facts: [["Shape", kernel.shape.join(" x ")], ["From", short(scale.low)], ["To", short(scale.high)]], canvases: canvasesIn(panel.current) });
    const from = Math.min(shown, kernel.shape[0] - 1), one = spots ? part(kernel, from) : null;
    const colour = spots === 2 && kernel.shape[0] === 3;
    return html`<p class="small">${kernel.shape.join(" x ")} weights, from ${short(scale.low)} to ${short(scale.high)}</p>
      ${spots === 0 ? html`<${Bars} values=${kernel.data} title="Weights, one for each input" />` : html`${colour && html`<${Heat} map=${inColour(kernel, scale.high)} image title="In colour: grey is 0" size=${140} />`}
        ${spots === 2 ? html`<${Heat} map=${one} scale=${scale} title=${`Input channel ${from}`} size=${140} />` : html`<${Bars} values=${one.data} title=${`Input channel ${from}`} />`}
        ${kernel.shape[0] > 1 && html`<${NumberField} label=${`Input channel, to ${kernel.shape[0] - 1}`} value=${from} min=${0} max=${kernel.shape[0] - 1} onChange=${(at) => at >= 0 && at < kernel.shape[0] && setShown(at)} />`}
        ${one.shape[0] <= 16 && html`<details><summary>Its numbers</summary><div class="scroll" tabindex="0" role="region" aria-label="Weights"><${NumberGrid} values=${one.data} shape=${spots === 2 ? one.shape : [1, one.shape[0]]} scale=${scale} title=${`Weights of input channel ${from}`} /></div></details>`}`}
      <${Export} view=${view} />`;
  }}</${Waits}></section>`;
}

// Weights of red, green and blue as a picture with 0 as grey, on the kernel's own scale, which stands beside it.
const inColour = ({ shape, data }, reach) => ({ shape, data: Float32Array.from(data, (value) => 0.5 + 0.5 * (reach ? value / reach : 0)) });

// Work in the background: starts when asked to, is followed, and can be stopped. {value, job, error, start, stop}
function useJob(path, body) {
  const [state, setState] = useState({ job: null, value: null, error: null });
  const key = useRef(null);
  const stop = () => { if (key.current) ask("/api/filter/job", { query: { job: key.current }, method: "DELETE" }).catch(() => {}); };
  const start = async (change = {}) => {
    const mine = Symbol("job");
    key.turn = mine;
    setState((before) => ({ ...before, job: { state: "running", label: "starting", share: 0 }, error: null }));
    try {
      let job = await ask(path, { json: { ...body, ...change } });
      key.current = job.key;
      while (job.state === "running") {
        if (key.turn !== mine) return;
        setState((before) => ({ ...before, job }));
        await new Promise((done) => setTimeout(done, 250));
        job = await ask("/api/filter/job", { query: { job: job.key } });
      }
      if (key.turn !== mine) return;
      const value = job.state === "done" ? await ask("/api/filter/result", { query: { job: job.key } }) : null;
      if (key.turn === mine) setState({ job: null, value, error: job.state === "failed" ? new Error(job.error) : null });
    } catch (error) {
      if (key.turn === mine) setState({ job: null, value: null, error });
    }
    key.current = null;
  };
  useEffect(() => () => { stop(); key.turn = null; }, []);
  return { ...state, start, stop };
}

function Running({ work }) {
  if (work.error) return html`<${Problem} error=${work.error} />`;
  if (!work.job) return null;
  return html`<div class="running" role="status"><progress max="1" value=${work.job.share} aria-label="Progress" /><span class="small">${work.job.label}</span><button onClick=${work.stop}>Stop</button></div>`;
}

function Patches({ asked, network }) {
  const panel = useRef();
  const [most, setMost] = useState(500);
  const samples = useAnswer((stop) => ask("/api/image/samples", { query: { network: network.name }, signal: stop }), [network.name, network.data]);
  const work = useJob("/api/filter/patches", { ...asked, most });
  const value = work.value;
  const view = () => ({ title: `Patches of channel ${asked.channel} of ${asked.layer}`, code: value.meta.code, facts: value.meta.patches.map((each) => [each.key, short(each.value)]), canvases: canvasesIn(panel.current) });
  return html`<section class="panel wide" aria-label="Patches" ref=${panel}><h2>What excites it most in the data</h2>
    ${samples.error ? html`<${Problem} error=${samples.error} />` : samples.value && !samples.value.count ? html`<p class="quiet">${samples.value.reason}</p>` : samples.value && html`<p class="small">${samples.value.title}: ${samples.value.count.toLocaleString("en")} samples</p>
      <div class="row"><${NumberField} label="Search the first" value=${most} min=${1} max=${10000} onChange=${(count) => Number.isInteger(count) && count >= 1 && count <= 10000 && setMost(count)} /><button class="main" disabled=${!!work.job} onClick=${() => work.start()}>Search</button></div>`}
    <${Running} work=${work} />
    ${value && html`<p class="small">Of ${value.meta.searched.toLocaleString("en")} samples, those whose strongest unit is strongest; each patch is exactly what the unit sees.</p>
      <ol class="patches">${value.meta.patches.map((each, k) => html`<li key=${k}><${PatchView} patch=${each} tensor=${value.tensors[k]} kind=${value.meta.kind} />
        <span class="small"><span class="number">${short(each.value)}</span> · <a href=${`#/image?${new URLSearchParams({ network: asked.network, place: each.sample, layer: asked.layer })}`}>${each.key}</a></span></li>`)}</ol>
      ${!value.meta.patches.length && html`<p>No unit of this channel sees the input.</p>`}
      ${value.meta.fault && html`<p class="bad">${value.meta.fault}</p>`}
      <p class="small">${value.meta.facts}${value.meta.dead.length > 0 && html` Never above zero: ${value.meta.dead.slice(0, 20).map((k) => html`<a key=${k} href=${`#/filter?${new URLSearchParams({ network: asked.network, layer: asked.layer, channel: k })}`}>${k}</a> `)}${value.meta.dead.length > 20 ? "..." : ""}`}</p><${Export} view=${view} />`}</section>`;
}

function PatchView({ patch, tensor, kind }) {
  const title = `Patch of ${patch.key}, value ${short(patch.value)}`;
  if (!tensor) return html`<p class="words">${patch.words.length ? patch.words.join(" ") : "padding"}</p>`;
  if (kind === "curves") return html`<${SampleView} received=${{ meta: { kind, shape: tensor.shape }, tensors: { curves: tensor } }} title=${title} />`;
  if (tensor.shape.length === 3) return html`<${Heat} map=${tensor} image title=${title} size=${112} legend=${false} />`;
  if (tensor.shape.length === 2) return html`<${Heat} map=${tensor} scale=${scaleOf(tensor.data, { signed: tensor.data.some((value) => value < 0) })} title=${title} size=${112} legend=${false} />`;
  return html`<${Bars} values=${tensor.data} title=${title} />`;
}

function Synthesised({ asked, network }) {
  const panel = useRef();
  const [steps, setSteps] = useState(128);
  const work = useJob("/api/filter/synthesised", { ...asked, steps });
  const fits = !["text", "board"].includes(network.modality), value = work.value;
  const view = () => ({ title: `An input made for channel ${asked.channel} of ${asked.layer}`, code: value.meta.code, facts: [["Mean of the channel at first", short(value.meta.before)], ["At the end", short(value.meta.after)]], canvases: canvasesIn(panel.current) });
  return html`<section class="panel" aria-label="Synthesis" ref=${panel}><h2>An input made for it</h2>${!fits ? html`<p class="quiet">Texts and boards can't change a little at a time, so none can be made. The patches of the data show what it answers to.</p>` : html`
    <p class="small">Gradient ascent on the mean of the channel, from almost nothing.</p>
    <div class="row"><${NumberField} label="Steps" value=${steps} min=${1} max=${2048} onChange=${(count) => Number.isInteger(count) && count >= 1 && count <= 2048 && setSteps(count)} /><button class="main" disabled=${!!work.job} onClick=${() => work.start()}>Make it</button></div>
    <${Running} work=${work} />
    ${value && html`<${SampleView} received=${value} title=${`Input made for channel ${asked.channel}`} /><p class="small">Mean of the channel: <span class="number">${short(value.meta.before)}</span> at first, <span class="number">${short(value.meta.after)}</span> at the end.</p><${Export} view=${view} />`}`}</section>`;
}

// The channel on one input: the deconvnet projection of its strongest unit, and how the layer follows changes.
function OnInput({ asked, layer, network, input }) {
  const query = { ...asked, input: input.key };
  return html`<div class="stack wide"><div class="columns"><${SamplePick} network=${network} input=${input} />
    ${input.key && html`<${Projection} query=${query} />`}</div>${input.key && html`<${Changes} query=${query} layer=${layer} />`}</div>`;
}

function Projection({ query }) {
  const panel = useRef();
  const found = useAnswer((stop) => ask("/api/filter/deconvnet", { query, signal: stop }), [JSON.stringify(query)]);
  const received = useAnswer((stop) => ask("/api/image/received", { query: { network: query.network, input: query.input }, signal: stop }), [query.network, query.input]);
  return html`<section class="panel" aria-label="Projection" ref=${panel}><h2>Its strongest unit, projected back</h2><${Waits} answer=${found}>${({ meta, tensors: { back } }) => {
    const scale = scaleOf(back.data, { signed: true }), map = summed(back);
    const view = () => ({ title: `Deconvnet projection of channel ${meta.channel} of ${meta.layer}`, code: meta.code, facts: [["Unit", meta.place.join(", ")], ["Value", short(meta.value)], ["Largest number", short(scale.high)]], canvases: canvasesIn(panel.current) });
    return html`<p class="small">Unit ${meta.place.join(", ") || "of the channel"}, value <span class="number">${short(meta.value)}</span>, sent back by the deconvnet with switches. Largest number <span class="number">${short(scale.high)}</span>.</p>
      <div class="pair">${back.shape.length === 3 && back.shape[0] >= 3 && received.value && received.value.meta.kind === "image" && html`<${Heat} map=${inColour({ shape: [3, ...back.shape.slice(1)], data: back.data.subarray(0, 3 * back.shape[1] * back.shape[2]) }, scale.high)} image title="In colour: grey is 0" />`}
      ${received.value && html`<${SampleView} received=${received.value} map=${map} reach=${scaleOf(map.data, { signed: true }).high} title="On the input, summed over channels" />`}</div><${Legend} scale=${{ ...scaleOf(map.data, { signed: true }), map: "over" }} /><${Export} view=${view} />`;
  }}</${Waits}></section>`;
}

function summed({ shape, data }) {
  const places = shape.slice(1), size = places.reduce((a, b) => a * b, 1), made = new Float32Array(size);
  for (let i = 0; i < data.length; i++) made[i % size] += data[i];
  return { shape: places, data: made };
}

function Changes({ query, layer }) {
  const kinds = useAnswer((stop) => ask("/api/filter/changes", { query: { network: query.network }, signal: stop }), [query.network]);
  const [change, setChange] = useState("shift");
  return html`<section class="panel" aria-label="Changes of the input"><h2>How the layer follows changes of the input</h2><${Waits} answer=${kinds}>${({ changes }) => !changes.length ? html`<p class="quiet">Texts and boards have no such changes.</p>`
    : html`<${Choice} label="Change" value=${change} options=${changes} onChange=${setChange} /><${Curve} query=${{ network: query.network, layer: query.layer, input: query.input, change }} layer=${layer} />`}</${Waits}></section>`;
}

function Curve({ query }) {
  const box = useRef();
  const found = useAnswer((stop) => ask("/api/filter/equivariance", { query, signal: stop }), [JSON.stringify(query)]);
  const value = found.value;
  useEffect(() => {
    if (!value || !box.current) return undefined;
    const { amounts, invariance, equivariance } = value.tensors, style = getComputedStyle(document.documentElement);
    const ink = style.getPropertyValue("--quiet"), line = style.getPropertyValue("--line"), axis = { stroke: ink, grid: { stroke: line }, ticks: { stroke: line } };
    const clean = (tensor) => Array.from(tensor.data, (number) => (Number.isFinite(number) ? number : null));
    const plot = new uPlot({
      width: Math.max(240, Math.min(640, box.current.clientWidth)), height: 220, cursor: { show: true }, scales: { x: { time: false } },
      axes: [{ ...axis, label: `${value.meta.change} (${value.meta.unit})` }, { ...axis, label: "relative distance" }],
      series: [{ label: value.meta.unit }, { label: "invariance: maps as before", stroke: style.getPropertyValue("--accent"), width: 2, points: { show: true } }, { label: "equivariance: maps that move along", stroke: style.getPropertyValue("--mark"), width: 2, dash: [6, 4], points: { show: true } }],
    }, [Array.from(amounts.data), clean(invariance), clean(equivariance)], box.current);
    plot.root.querySelectorAll("canvas").forEach((canvas) => { canvas.setAttribute("role", "img"); canvas.setAttribute("aria-label", `${value.meta.change}: ${Array.from(amounts.data).map((amount, k) => `${short(amount)} ${value.meta.unit}: invariance ${short(invariance.data[k])}, equivariance ${short(equivariance.data[k])}`).join("; ")}`); });
    return () => plot.destroy();
  }, [value]);
  const view = () => ({ title: `${query.layer} under ${query.change}`, code: value.meta.code, facts: Array.from(value.tensors.amounts.data).map((amount, k) => [`${short(amount)} ${value.meta.unit}`, `invariance ${short(value.tensors.invariance.data[k])}, equivariance ${short(value.tensors.equivariance.data[k])}`]), canvases: canvasesIn(box.current) });
  return html`<${Waits} answer=${found}>${({ meta }) => html`${meta.readings.map((line) => html`<p key=${line}>${line}</p>`)}<p class="small">0: the change is not seen (invariance), or the maps move with the input (equivariance).</p><${Export} view=${view} />`}</${Waits}><div ref=${box} class="plot" />`;
}
