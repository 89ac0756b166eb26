// Image: an input, what the network says about it, the maps of its layers, and what the answer rests on.
import { ask, useAnswer } from "../api.js";
import { html, useRef, useState } from "../lib.js";
import { Choice, Export, short, Waits } from "../parts.js";
import { Attributions } from "../attributions.js";
import { Maps } from "../layer_maps.js";
import { canvasesIn, SampleView } from "../sample_view.js";
import { networkOf, SamplePick, useInput } from "../sample_pick.js";

const percent = (share) => `${(100 * share).toFixed(share > 0.995 || share < 0.01 ? 2 : 1)}%`;

export function ImageScreen({ overview, query, go, put }) {
  const network = networkOf(overview, query);
  return html`<div class="net"><div class="head"><h1>Image</h1><${Choice} label="Network" value=${network.name} options=${overview.networks.map((each) => each.name)} onChange=${(name) => go("image", { network: name })} /></div>
    <${ImageOf} key=${network.name} ...${{ network, query, put }} /></div>`;
}

function ImageOf({ network, query, put }) {
  const input = useInput(network, query);
  return html`<div class="side"><div class="stack"><${SamplePick} network=${network} input=${input} /></div>
    <div class="stack">${input.key ? html`<${Answers} key=${input.key} ...${{ network, query, put }} asked=${{ network: network.name, input: input.key }} />`
      : html`<section class="panel"><h2>What the network does with it</h2><p>Choose an input. The network reads it as in training, and every number on this page comes from the network itself.</p></section>`}</div></div>`;
}

// All that is shown of one input; another input begins anew.
function Answers({ network, asked, query, put }) {
  const [target, setTarget] = useState("");
  const received = useAnswer((stop) => ask("/api/image/received", { query: asked, signal: stop }), []);
  const outputs = useAnswer((stop) => ask("/api/image/outputs", { query: asked, signal: stop }), []);
  if (received.error && received.error.kind === "input") return html`<section class="panel"><p class="bad" role="alert">The Studio no longer has this input: it may have been restarted. Choose it again.</p></section>`;
  return html`<${Waits} answer=${received}>${(shown) => html`<${Waits} answer=${outputs}>${(found) => html`<div class="stack"><${Outputs} received=${shown} outputs=${found} target=${target} setTarget=${setTarget} />
    <${Attributions} asked=${asked} received=${shown} target=${target} />
    <${Maps} asked=${asked} received=${shown} target=${target} layer=${query.layer} chosen=${(layer) => put("image", { ...query, network: network.name, layer })} /></div>`}</${Waits}>`}</${Waits}>`;
}

// What the network receives, and what it says; the target of an explanation is chosen here.
function Outputs({ received, outputs, target, setTarget }) {
  const panel = useRef();
  const { meta, tensors } = outputs, about = meta.targets.find((each) => each.spec === target);
  const view = () => ({ title: `Outputs for ${received.meta.name}`, code: `${received.meta.code}\n\n${meta.code}`, facts: factsOf(meta), canvases: canvasesIn(panel.current) });
  const classes = meta.targets.map((each) => each.spec);
  const mask = tensors.mask && { shape: tensors.mask.shape.slice(-2), data: tensors.mask.data };
  const pick = { mask: (place) => setTarget(`${classes[mask.data[received.meta.kind === "curves" ? place[0] : place[0] * mask.shape[1] + place[1]]]}@${place.join(",")}`),
    boxes: (place) => { const hit = meta.targets.find(({ box: [left, top, right, bottom] }) => place[1] >= left && place[1] <= right && place[0] >= top && place[0] <= bottom); if (hit) setTarget(hit.spec); },
    classes: received.meta.kind === "board" ? (place) => setTarget(classes[place[0] * received.meta.size + place[1]]) : null }[meta.draws];
  const drawn = {
    mask, colours: meta.colours, onPick: pick, boxes: meta.draws === "boxes" ? boxesOf(meta, target) : [],
    picked: target.includes("@") ? target.split("@").pop().split(",").map(Number) : null,
    moves: received.meta.kind === "board" ? meta.rows.slice(0, 5).map(([name, share]) => [classes.indexOf(name), Math.round(100 * share)]).filter(([point]) => point < received.meta.size ** 2) : null,
  };
  return html`<section class="panel" aria-label="Outputs" ref=${panel}><div class="head"><h2>What it receives and what it says</h2><${Export} view=${view} /></div>
    <div class="pair"><div><${SampleView} received=${received} ...${drawn} title=${`${received.meta.name}, as the network receives it: ${received.meta.shape.join(" x ")}`}
        caption=${`${received.meta.shape.join(" x ")}; after normalisation from ${short(received.meta.span[0])} to ${short(received.meta.span[1])}${meta.draws === "mask" || (meta.draws === "boxes") ? " · click a place or an object to explain it" : received.meta.kind === "board" ? " · shares of the likeliest moves in per cent; click a point to explain it" : ""}`} />
      ${meta.unusual && html`<p class="bad">This input is unlike the training data.</p>`}</div>
    <div class="says"><${Rows} meta=${meta} target=${target} setTarget=${setTarget} />
      <div class="row"><${Choice} label="Explain" value=${about ? target : target ? "@" : ""} options=${[["", `what it decided for: ${meta.chosen}`], ...(target && !about ? [["@", target]] : []), ...meta.targets.map((each) => [each.spec, each.score === undefined ? each.text : `${each.text} (${percent(each.score)})`])]} onChange=${(spec) => setTarget(spec === "@" ? target : spec)} />
        ${target && html`<button onClick=${() => setTarget("")}>What it decided for</button>`}</div>
      ${about && html`<p class="small">Value before softmax or sigmoid: <span class="number">${short(about.value)}</span></p>`}</div></div></section>`;
}

function boxesOf(meta, target) {
  const found = meta.targets.filter((each) => each.score >= meta.threshold || each.spec === target);
  const one = new Set(meta.targets.map((each) => each.label)).size === 1;
  return found.map(({ spec, label, score, box: [left, top, right, bottom] }) => ({ box: [top, left, bottom, right], colour: spec === target ? "var(--accent)" : "var(--mark)", label: spec === target || !one ? `${label} ${percent(score)}` : "" }));
}

function factsOf(meta) {
  if (meta.draws === "boxes") return meta.targets.filter((each) => each.score >= meta.threshold).map((each) => [each.text, percent(each.score)]);
  return (meta.rows || []).slice(0, 20).map(([name, value]) => [String(name), meta.draws === "values" ? short(value) : typeof value === "number" ? percent(value) : String(value)]);
}

function Rows({ meta, target, setTarget }) {
  const [all, setAll] = useState(false);
  const rows = meta.rows || [];
  if (meta.draws === "boxes") {
    const found = meta.targets.filter((each) => each.score >= meta.threshold);
    const few = all ? found : found.slice(0, 8);
    return html`<p>${found.length} ${found.length === 1 ? "object" : "objects"} with a score of ${percent(meta.threshold)} or more${found.length === meta.targets.length ? ", and maybe further ones" : ""}.</p>
      <table><tbody>${few.map((each) => html`<tr key=${each.spec} class=${each.spec === target ? "chosen" : ""}><td><button class="link" onClick=${() => setTarget(each.spec)}>${each.text}</button></td><td class="number">${percent(each.score)}</td></tr>`)}</tbody></table>
      ${found.length > 8 && html`<button onClick=${() => setAll(!all)}>${all ? "Fewer" : `All ${found.length}`}</button>`}`;
  }
  if (meta.draws === "values") return html`<table><tbody>${rows.map(([name, value, error]) => html`<tr key=${name}><th scope="row">${name}</th><td class="number">${short(value)}${error === null || error === undefined ? "" : ` ± ${short(error)}`}</td></tr>`)}</tbody></table>`;
  if (meta.draws === "table") return html`<table><tbody>${rows.map(([name, text]) => html`<tr key=${name}><th scope="row">${name}</th><td>${text}</td></tr>`)}</tbody></table>`;
  const masks = meta.draws === "mask", listed = masks ? rows.map((row, k) => [...row, k]).filter(([, share]) => share > 0).sort((a, b) => b[1] - a[1]) : rows;
  const shown = all ? listed : listed.slice(0, 8);
  return html`${masks && html`<p class="small">Mean probability of the predicted classes: ${percent(meta.confidence)}. Shares of the places:</p>`}
    <table class="shares"><tbody>${shown.map(([name, share, third]) => html`<tr key=${name} class=${name === target ? "chosen" : ""}><td><button class="link" onClick=${() => setTarget(name)}>${masks && html`<span class="swatch" aria-hidden="true" style=${{ background: meta.colours[third] }} />`}${name}</button>${meta.draws === "labels" && third ? html` <strong>✓<span class="hidden">predicted</span></strong>` : ""}</td>
      <td class="meter" aria-hidden="true"><span style=${{ width: `${100 * share}%` }} /></td><td class="number">${percent(share)}</td></tr>`)}</tbody></table>
    ${listed.length > 8 && html`<button onClick=${() => setAll(!all)}>${all ? "Fewer" : `All ${listed.length}`}</button>`}`;
}
