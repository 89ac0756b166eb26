// What a chosen output is made of, or what a chosen input feeds, with the numbers.
import { html, useEffect, useState } from "../../lib.js";
import { short } from "../../parts.js";

const ROWS = 27;

export function Pager({ count, size, page, onPage, noun }) {
  if (count <= size) return null;
  const last = Math.ceil(count / size) - 1;
  return html`<div class="pager"><button aria-label=${`Earlier ${noun}`} disabled=${page <= 0} onClick=${() => onPage(page - 1)}>‹</button>
    <span>${noun} ${page * size} to ${Math.min(count, (page + 1) * size) - 1} of ${count}</span>
    <button aria-label=${`Later ${noun}`} disabled=${page >= last} onClick=${() => onPage(page + 1)}>›</button></div>`;
}

// The places of a tensor (n, axes) as lists.
export const placesOf = ({ shape: [count, axes], data }) => [...Array(count).keys()].map((i) => [...data.subarray(i * axes, (i + 1) * axes)]);

export function Unit({ unit, run, playing, onTap }) {
  const [page, setPage] = useState(0);
  useEffect(() => setPage(0), [unit]);
  if (!unit) return html`<p class="quiet">Choose an output to see its products, or an input to see the outputs that it feeds.</p>`;
  const { meta, tensors } = unit, count = tensors.weights.data.length;
  const shown = [...Array(count).keys()].slice(page * ROWS, (page + 1) * ROWS);
  const places = placesOf(tensors.places);
  const body = meta.kind === "y" ? shown.map((i) => html`<tr key=${i} class=${tensors.counted.data[i] ? "" : "quiet"}>
      <td class="number">x[${[tensors.channels.data[i], ...places[i]].join(", ")}]</td>
      <td class="number">${short(tensors.values.data[i])}${tensors.counted.data[i] ? "" : " padding"}</td>
      <td class="number">${run.meta.weights ? html`<button class="plain" onClick=${() => onTap(tensors.taps.data[i])}>${short(tensors.weights.data[i])}</button>` : short(tensors.weights.data[i])}</td>
      <td class="number">${short(tensors.products.data[i])}</td></tr>`)
    : shown.map((i) => html`<tr key=${i}><td class="number">y[${places[i].join(", ")}]</td><td class="number">${short(meta.value)}</td>
      <td class="number">${short(tensors.weights.data[i])}</td><td class="number">${short(tensors.products.data[i])}</td></tr>`);
  return html`<p class="formula" role=${playing ? undefined : "status"} data-unit-says>${meta.text}</p>
    <${Pager} count=${count} size=${ROWS} page=${page} onPage=${setPage} noun="products" />
    <div class="scroll"><table class="products"><thead><tr><th>${meta.kind === "y" ? "Input" : "Output"}</th><th class="number">Value</th><th class="number">Weight</th><th class="number">Product</th></tr></thead>
      <tbody>${body}</tbody>
      ${meta.kind === "y" && run.meta.op !== "max" && html`<tfoot>${meta.bias !== 0 && html`<tr><th colspan="3">Bias</th><td class="number">${short(meta.bias)}</td></tr>`}
        <tr><th colspan="3">Sum, y[${meta.place.join(", ")}]</th><td class="number" data-sum=${meta.value}>${short(meta.value)}</td></tr></tfoot>`}</table></div>`;
}
