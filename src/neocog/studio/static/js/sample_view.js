// An input as the network receives it, of any kind, with a map over it, marks on it, and places that can be picked.
import { html, useEffect, useRef, useState } from "./lib.js";
import { short } from "./draw.js";
import { Mark } from "./parts.js";
import { asDrawn, drawBoard, drawCurves, drawPlanes, drawTokens, fromPlace, READABLE, shareOf, tint, toPlace, WIDE } from "./sample_draw.js";

// Canvases of a part of the page with their descriptions, for an export.
export const canvasesIn = (node) => [...(node ? node.querySelectorAll("canvas[aria-label]") : [])].map((canvas) => [canvas, canvas.getAttribute("aria-label").replace(/;? ?(Arrow keys.*|row \d.*)$/, "")]);

// `map` has the places of the input; `reach` is the number with the strongest colour. `picked` and `onPick` are places.
export function SampleView({ received, title, size = 288, ...drawn }) {
  const { kind } = received.meta;
  if (kind === "text") return html`<${Words} received=${received} title=${title} ...${drawn} />`;
  if (kind === "ids" || (kind === "numbers" && received.meta.shape.length < 2)) return html`<p class="quiet">${title}: ${received.meta.shape.join(" x ")} numbers.</p>`;
  return html`<${Picture} received=${received} title=${title} size=${size} ...${drawn} />`;
}

function placesOf(received) {
  const { kind, shape, size } = received.meta;
  if (kind === "board") return [size, size];
  if (kind === "curves") return [1, shape[1]];
  return kind === "spectrogram" ? [shape[2], shape[1]] : shape.slice(-2);
}

function Picture({ received, title, size, map, reach = 0, mask, colours, moves, boxes = [], picked, onPick, caption }) {
  const canvas = useRef();
  const [cursor, setCursor] = useState(null);
  const [problem, setProblem] = useState("");
  const { kind } = received.meta, [h, w] = placesOf(received);
  const shown = map && asDrawn(kind, map);
  useEffect(() => {
    const options = { map: shown, reach, mask, colours, moves, picked };
    const draw = { curves: drawCurves, board: drawBoard }[kind] || drawPlanes;
    Promise.resolve(draw(canvas.current, received, options)).then(() => setProblem(""), (error) => setProblem(error.message));
  }, [received, map, reach, mask, colours, moves, kind === "curves" || kind === "board" ? String(picked) : ""]);
  const frame = kind === "board" ? { from: 0.5 / (h + 1), part: h / (h + 1) } : { from: 0, part: 1 };
  const from = (event) => {
    const box = canvas.current.getBoundingClientRect();
    const at = (share, count) => Math.min(count - 1, Math.max(0, Math.floor(((share - frame.from) / frame.part) * count)));
    return [kind === "curves" ? 0 : at((event.clientY - box.top) / box.height, h), at((event.clientX - box.left) / box.width, w)];
  };
  const back = ([y, x]) => (kind === "curves" ? [x] : toPlace(kind, [y, x], h));
  const there = picked && (kind === "curves" ? [0, picked[0]] : fromPlace(kind, picked, h));
  const at = cursor || there || [0, 0];
  const keys = (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (moves[event.key]) {
      event.preventDefault();
      setCursor([Math.min(h - 1, Math.max(0, at[0] + moves[event.key][0])), Math.min(w - 1, Math.max(0, at[1] + moves[event.key][1]))]);
    } else if ((event.key === "Enter" || event.key === " ") && onPick) {
      event.preventDefault();
      onPick(back(at));
    }
  };
  const value = shown && cursor ? `; at ${back(at).join(", ")}: ${short(shown.data[at[0] * w + at[1]])}` : "";
  const width = kind === "curves" ? WIDE : kind === "board" ? 420 : Math.round(w >= h ? size : (size * w) / h);
  const flat = kind !== "curves" && kind !== "board";
  return html`<figure class="sample">${problem && html`<p class="bad">${problem}</p>`}
    <div style=${{ position: "relative", width: `${width}px`, maxWidth: "100%" }}>
      <canvas ref=${canvas} class=${flat ? "" : "smooth"} tabindex="0" role="img" style=${{ width: "100%", ...(flat ? { aspectRatio: `${w} / ${h}` } : {}) }}
        aria-label=${`${title}${value}${onPick ? "; Arrow keys move, Enter chooses." : ""}`} onPointerMove=${(event) => setCursor(from(event))} onPointerLeave=${() => setCursor(null)}
        onClick=${(event) => onPick && onPick(back(from(event)))} onKeyDown=${keys} />
      ${boxes.map(({ box, colour, label }, k) => html`<${Mark} key=${k} box=${box} h=${h} w=${w} colour=${colour} />${label && html`<span key=${`l${k}`} class="boxlabel" aria-hidden="true" style=${{ left: `${(100 * box[1]) / w}%`, top: `${(100 * box[0]) / h}%`, background: colour }}>${label}</span>`}`)}
      ${flat && there && html`<${Mark} place=${there} h=${h} w=${w} />`}
      ${flat && cursor && html`<${Mark} place=${cursor} h=${h} w=${w} colour="var(--accent)" />`}
    </div>
    <figcaption>${caption || title}${html`<br /><span class="number">${value ? value.slice(2) : " "}</span>`}</figcaption></figure>`;
}

function Words({ received, title, map, reach = 0, picked, onPick, caption }) {
  const canvas = useRef();
  const { tokens } = received.meta;
  useEffect(() => drawTokens(canvas.current, received, { map, reach }), [received, map, reach]);
  const style = (k) => (map ? { background: tint(shareOf(map.data[k], reach), READABLE) } : {});
  const tip = (known, k) => `${map ? short(map.data[k]) : ""}${known ? "" : " not in the vocabulary"}`.trim();
  const label = `${title}. ${tokens.map(([token], k) => (map ? `${token} ${short(map.data[k])}` : token)).join(", ")}`;
  return html`<figure class="sample"><p class="words">${tokens.map(([token, known], k) => html`<span key=${k} class=${`token ${known ? "" : "unknown"} ${picked && picked[0] === k ? "chosen" : ""}`} style=${style(k)} title=${tip(known, k)}>${token.trim() ? token : "␣"}</span> `)}</p>
    <canvas ref=${canvas} style=${{ display: "none" }} role="img" aria-label=${label} />
    <figcaption>${caption || title}${tokens.some(([, known]) => !known) ? " · in italics: not in the vocabulary" : ""}</figcaption></figure>`;
}

// Maps of a layer that have one axis, as strips that are tall enough to be seen.
export function asStrips({ shape: [count, length], data }, tall = 6) {
  const made = new Float32Array(count * tall * length);
  for (let k = 0; k < count; k++) for (let i = 0; i < tall; i++) made.set(data.subarray(k * length, (k + 1) * length), (k * tall + i) * length);
  return { shape: [count, tall, length], data: made };
}

// One number for each channel or class, as bars around zero.
export function Bars({ values, title, picked, onPick }) {
  const canvas = useRef();
  const [cursor, setCursor] = useState(picked ?? 0);
  const count = values.length, wide = Math.max(240, Math.min(WIDE, count * 12)), tall = 110;
  let low = 0, high = 0;
  for (const value of values) { low = Math.min(low, value); high = Math.max(high, value); }
  useEffect(() => {
    const node = canvas.current, scale = devicePixelRatio || 1, pen = (node.width = wide * scale, node.height = tall * scale, node.getContext("2d"));
    pen.scale(scale, scale);
    const ink = (name) => getComputedStyle(node).getPropertyValue(name).trim();
    pen.fillStyle = ink("--panel");
    pen.fillRect(0, 0, wide, tall);
    const y = (value) => 4 + ((tall - 8) * (high - value)) / (high - low || 1);
    values.forEach((value, k) => {
      pen.fillStyle = k === (picked ?? cursor) ? ink("--mark") : ink("--accent");
      pen.fillRect((wide * k) / count + 0.5, Math.min(y(value), y(0)), Math.max(1, wide / count - 1), Math.max(1, Math.abs(y(value) - y(0))));
    });
  }, [values, picked, cursor]);
  const keys = (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (step) { event.preventDefault(); setCursor(Math.min(count - 1, Math.max(0, cursor + step))); }
    if ((event.key === "Enter" || event.key === " ") && onPick) { event.preventDefault(); onPick(cursor); }
  };
  const from = (event) => { const box = canvas.current.getBoundingClientRect(); return Math.min(count - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * count))); };
  return html`<figure><canvas ref=${canvas} class="smooth" tabindex="0" role="img" style=${{ width: `${wide}px` }} onKeyDown=${keys} onPointerMove=${(event) => setCursor(from(event))} onClick=${(event) => onPick && onPick(from(event))}
    aria-label=${`${title}: ${count} numbers from ${short(low)} to ${short(high)}; number ${cursor} is ${short(values[cursor])}. Arrow keys move.`} />
    <figcaption>${title} · <span class="number">${cursor}: ${short(values[cursor])}</span> · from ${short(low)} to ${short(high)}</figcaption></figure>`;
}
