// Choosing an input: a file that is dropped or opened, a text typed in, or a sample of the data that is open.
import { ask, useAnswer } from "./api.js";
import { html, signal, useEffect, useState } from "./lib.js";
import { NumberField, Problem } from "./parts.js";

// The input of each network, so that all screens look at the same one.
export const current = signal({});
const FILES = {
  image: ["an image", ".png,.jpg,.jpeg,.bmp,.webp,.tif,.tiff,.npy"], signal: ["a signal", ".csv,.npy"],
  audio: ["a sound", ".wav,.flac,.ogg,.mp3"], text: ["a text file", ".txt"], board: ["a game", ".sgf"],
};

// The network that a screen looks into: that of the address, or the first.
export function networkOf(overview, query) {
  const found = overview.networks.find((each) => each.name === query.network) || overview.networks[0];
  return { ...found, data: overview.data };
}

// The input that is chosen for a network, `KEY` or `KEY:PART`, and a function that sets it.
export function useInput(network, query) {
  const known = current.value[network.name];
  useEffect(() => {
    if (query.input && (!known || known.input !== query.input.split(":")[0])) {
      const [input, part] = query.input.split(":");
      set({ input, name: "", parts: 1 + Number(part || 0), part: Number(part || 0) });
    } else if (query.record && (!known || known.record !== query.record)) {
      ask("/api/image/sample", { json: { network: network.name, record: query.record } }).then(set, (error) => set({ error, record: query.record }));
    } else if (query.place && (!known || known.record || String(known.place) !== query.place)) {
      ask("/api/image/sample", { json: { network: network.name, place: Number(query.place) } }).then(set, (error) => set({ error, place: Number(query.place) }));
    }
  }, [network.name, query.input, query.place, query.record]);
  const set = (found) => { current.value = { ...current.value, [network.name]: found }; };
  const key = known && known.input ? (known.part ? `${known.input}:${known.part}` : known.input) : "";
  return { known, key, set };
}

export function SamplePick({ network, input }) {
  const [error, setError] = useState(null);
  const [busy, setBusy] = useState(false);
  const [over, setOver] = useState(false);
  const { known, set } = input;
  const take = async (work) => {
    setBusy(true);
    try {
      set({ ...(await work()), part: 0 });
      setError(null);
    } catch (problem) {
      setError(problem);
    }
    setBusy(false);
  };
  const send = (file) => file && take(() => ask("/api/image/input", { query: { name: file.name, network: network.name }, body: file }));
  const [noun, accept] = FILES[network.modality] || ["a file", ""];
  const shownError = error || (known && known.error);
  return html`<section class="panel pick" aria-label="Input"><h2>Input</h2>
    ${shownError && html`<${Problem} error=${shownError} />`}
    <div class=${`drop ${over ? "over" : ""}`} onDragOver=${(event) => { event.preventDefault(); setOver(true); }} onDragLeave=${() => setOver(false)}
      onDrop=${(event) => { event.preventDefault(); setOver(false); send(event.dataTransfer.files[0]); }}>
      <label>Drop ${noun} here, or choose a file<br /><input type="file" accept=${accept} aria-label=${`Choose ${noun}`} onChange=${(event) => { send(event.target.files[0]); event.target.value = ""; }} /></label></div>
    ${network.modality === "text" && html`<${Typed} network=${network} take=${take} />`}
    <${FromData} network=${network} take=${take} known=${known} />
    ${known && known.input && html`<p class="small now"><strong>${known.name || "An earlier input"}</strong>${known.truth ? html` · labelled <strong>${known.truth}</strong>` : ""}${busy ? " · reading ..." : ""}</p>`}
    ${known && known.parts > 1 && html`<${NumberField} label=${`Part of the input, 0 to ${known.parts - 1}: it reaches the network in tiles`} value=${known.part || 0} min=${0} max=${known.parts - 1}
      onChange=${(part) => part >= 0 && part < known.parts && set({ ...known, part })} />`}
    ${busy && html`<p class="quiet busy" role="status">Reading ...</p>`}</section>`;
}

function Typed({ network, take }) {
  const [text, setText] = useState("");
  const send = (event) => { event.preventDefault(); if (text.trim()) take(() => ask("/api/image/input", { query: { network: network.name, typed: true }, body: new Blob([text]) })); };
  return html`<form class="typed" onSubmit=${send}><label class="field"><span>Or type a text</span>
    <textarea rows="3" value=${text} onInput=${(event) => setText(event.target.value)} /></label><button>Read it</button></form>`;
}

function FromData({ network, take, known }) {
  const found = useAnswer((stop) => ask("/api/image/samples", { query: { network: network.name }, signal: stop }), [network.name, network.data]);
  const [place, setPlace] = useState(0);
  useEffect(() => { if (known && known.place !== undefined) setPlace(known.place); }, [known && known.place]);
  if (found.error) return html`<${Problem} error=${found.error} />`;
  if (!found.value) return null;
  if (!found.value.count) return html`<p class="small quiet">${found.value.reason}</p>`;
  const { count, title } = found.value;
  const go = (at) => { const next = Math.min(count - 1, Math.max(0, at)); setPlace(next); take(() => ask("/api/image/sample", { json: { network: network.name, place: next } })); };
  return html`<div class="data"><p class="small">Or take one from the data: ${count.toLocaleString("en")} of ${title}</p><div class="row">
    <${NumberField} label="Sample" value=${place} min=${0} max=${count - 1} onChange=${(at) => Number.isInteger(at) && at >= 0 && at < count && setPlace(at)} />
    <button onClick=${() => go(place)}>Take it</button><button onClick=${() => go(Math.floor(Math.random() * count))}>Any</button></div></div>`;
}
