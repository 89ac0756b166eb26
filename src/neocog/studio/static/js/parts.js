// Parts that several screens use.
import { ask } from "./api.js";
import { colourOf, drawImage, drawMap, drawWall, inkOn, scaleOf, short, table } from "./draw.js";
import { html, useEffect, useRef, useState } from "./lib.js";

export function Field({ label, children }) {
  return html`<label class="field"><span>${label}</span>${children}</label>`;
}

export function NumberField({ label, value, min, max, step = 1, onChange }) {
  return html`<${Field} label=${label}><input type="number" value=${value} min=${min} max=${max} step=${step}
    onInput=${(event) => event.target.value !== "" && onChange(Number(event.target.value))} /></${Field}>`;
}

export function Choice({ label, value, options, onChange }) {
  const rows = options.map((option) => (Array.isArray(option) ? option : [option, option]));
  return html`<${Field} label=${label}><select value=${value} onChange=${(event) => onChange(event.target.value)}>
    ${rows.map(([key, text]) => html`<option key=${key} value=${key} selected=${key === value}>${text}</option>`)}
  </select></${Field}>`;
}

export function Tick({ label, checked, onChange }) {
  return html`<label class="tick small"><input type="checkbox" checked=${checked}
    onChange=${(event) => onChange(event.target.checked)} /><span>${label}</span></label>`;
}

// An error where a view should be, with a way on.
export function Problem({ error, again }) {
  return html`<div class="error" role="alert"><p>${error.message}</p>
    ${again && html`<button onClick=${again}>Try again</button>`}</div>`;
}

// A view that waits for an answer: shows the error, or the last value while the next one is computed.
export function Waits({ answer, children }) {
  if (answer.error) return html`<${Problem} error=${answer.error} />`;
  if (!answer.value) return html`<p class="quiet busy" role="status">Computing ...</p>`;
  return html`<div class=${answer.busy ? "busy" : ""} aria-busy=${answer.busy}>${children(answer.value)}</div>`;
}

// The scale of a map: two numbers and the colours between them.
export function Legend({ scale }) {
  const canvas = useRef();
  useEffect(() => {
    const steps = Float32Array.from({ length: 256 }, (_, i) => i);
    drawMap(canvas.current, { shape: [1, 256], data: steps }, { low: 0, high: 255, map: scale.map });
  }, [scale.map]);
  return html`<div class="legend"><span>${short(scale.low)}</span><canvas ref=${canvas} aria-hidden="true" /><span>${short(scale.high)}</span></div>`;
}

// One map (h, w) with its scale, the number under the pointer or the cursor keys, and a sentence for who can't see it.
export function Heat({ map, scale, title, size = 224, onPick, picked, image = false, legend = true }) {
  const canvas = useRef();
  const [place, setPlace] = useState(null);
  const [h, w] = map.shape.slice(-2);
  const used = scale || scaleOf(map.data);
  useEffect(() => { image ? drawImage(canvas.current, map) : drawMap(canvas.current, map, used); }, [map, used.low, used.high, used.map]);
  const shown = place || picked;
  const number = (y, x) => image ? [...Array(map.shape.length === 3 ? map.shape[0] : 1).keys()].map((c) => short(map.data[c * h * w + y * w + x])).join(", ") : short(map.data[y * w + x]);
  const from = (event) => {
    const box = canvas.current.getBoundingClientRect();
    return [Math.min(h - 1, Math.max(0, Math.floor(((event.clientY - box.top) / box.height) * h))), Math.min(w - 1, Math.max(0, Math.floor(((event.clientX - box.left) / box.width) * w)))];
  };
  const keys = (event) => {
    const moves = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    if (moves[event.key]) {
      event.preventDefault();
      const [y, x] = shown || [0, 0];
      setPlace([Math.min(h - 1, Math.max(0, y + moves[event.key][0])), Math.min(w - 1, Math.max(0, x + moves[event.key][1]))]);
    } else if ((event.key === "Enter" || event.key === " ") && onPick) {
      event.preventDefault();
      onPick(shown || [0, 0]);
    }
  };
  const width = Math.round(w >= h ? size : (size * w) / h);
  return html`<figure>
    <div class="heat" style=${{ width: `${width}px`, maxWidth: "100%", position: "relative" }}>
      <canvas ref=${canvas} tabindex="0" role="img" style=${{ width: "100%", aspectRatio: `${w} / ${h}` }}
        aria-label=${`${title}: ${h} by ${w}, from ${short(used.low)} to ${short(used.high)}${shown ? `; row ${shown[0]}, column ${shown[1]}: ${number(...shown)}` : ""}`}
        onPointerMove=${(event) => setPlace(from(event))} onPointerLeave=${() => setPlace(null)}
        onClick=${(event) => onPick && onPick(from(event))} onKeyDown=${keys} />
      ${shown && html`<${Mark} place=${shown} h=${h} w=${w} />`}
    </div>
    ${legend && !image && html`<${Legend} scale=${used} />`}
    <figcaption>${title}${shown ? html`<br /><span class="number">(${shown[0]}, ${shown[1]}) = ${number(...shown)}</span>` : html`<br /><span class="number">${" "}</span>`}</figcaption>
  </figure>`;
}

// A frame around one place, or a box of places, of a drawing of h x w.
export function Mark({ place, box, h, w, colour = "var(--mark)" }) {
  const [top, left, bottom, right] = box || [place[0], place[1], place[0] + 1, place[1] + 1];
  return html`<div aria-hidden="true" style=${{ position: "absolute", pointerEvents: "none", border: `2px solid ${colour}`,
    left: `${(100 * left) / w}%`, top: `${(100 * top) / h}%`, width: `${(100 * (right - left)) / w}%`, height: `${(100 * (bottom - top)) / h}%` }} />`;
}

// All channels of a layer as one canvas; a click or Enter picks one.
export function Wall({ maps, title, columns, signed = false, common = false, picked, onPick, zoom = 2 }) {
  const canvas = useRef();
  const layout = useRef();
  const [cursor, setCursor] = useState(picked ?? 0);
  const [count, h, w] = maps.shape;
  const wide = columns || Math.max(1, Math.min(count, Math.ceil(Math.sqrt((count * (h + 1)) / (w + 1)) * 1.6)));
  useEffect(() => {
    const all = common ? scaleOf(maps.data, { signed }) : null;
    layout.current = drawWall(canvas.current, maps, { columns: wide, scaleFor: (k, part) => all || scaleOf(part, { signed }) });
  }, [maps, wide, signed, common]);
  const from = (event) => {
    const box = canvas.current.getBoundingClientRect(), { rows } = layout.current;
    const x = Math.floor(((event.clientX - box.left) / box.width) * wide), y = Math.floor(((event.clientY - box.top) / box.height) * rows);
    return Math.min(count - 1, Math.max(0, y * wide + x));
  };
  const keys = (event) => {
    const moves = { ArrowUp: -wide, ArrowDown: wide, ArrowLeft: -1, ArrowRight: 1 };
    if (moves[event.key]) {
      event.preventDefault();
      setCursor((at) => Math.min(count - 1, Math.max(0, at + moves[event.key])));
    } else if ((event.key === "Enter" || event.key === " ") && onPick) {
      event.preventDefault();
      onPick(cursor);
    }
  };
  const rows = Math.ceil(count / wide), at = picked ?? cursor;
  const box = [Math.floor(at / wide) * (h + 1), (at % wide) * (w + 1), Math.floor(at / wide) * (h + 1) + h, (at % wide) * (w + 1) + w];
  const [tall, broad] = [rows * (h + 1) - 1, wide * (w + 1) - 1];
  return html`<figure><div class="scroll"><div style=${{ position: "relative", width: `${Math.min(1200, broad * zoom)}px`, maxWidth: "100%" }}>
    <canvas ref=${canvas} tabindex="0" role="img" style=${{ width: "100%" }} onClick=${(event) => { setCursor(from(event)); onPick && onPick(from(event)); }} onKeyDown=${keys}
      aria-label=${`${title}: ${count} channels of ${h} by ${w}; channel ${at}. Arrow keys move, Enter opens.`} />
    <${Mark} box=${box} h=${tall} w=${broad} /></div></div>
    <figcaption>${title} · channel <span class="number">${cursor}</span> of ${count}${common ? "" : " · each channel on its own scale"}</figcaption></figure>`;
}

// Numbers in a grid, coloured by their size. Arrow keys move; `onPick(row, column)` if cells can be chosen, and
// `onEdit(row, column, value)` if they can be changed. `marked(row, column)` gives true or a class. `border` is
// {sides: [[top, bottom], [left, right]], value}: a ring of padding, with rows and columns below 0 or beyond the shape.
export function NumberGrid({ values, shape, title, scale, picked, marked, onPick, onEdit, border }) {
  const [h, w] = shape;
  const used = scale || scaleOf(values, { signed: true });
  const [[top, bottom], [left, right]] = border ? border.sides : [[0, 0], [0, 0]];
  const grid = useRef();
  const [cursor, setCursor] = useState([0, 0]);
  const at = cursor[0] < h && cursor[1] < w ? cursor : [0, 0];
  const move = (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = [Math.min(h - 1, Math.max(0, at[0] + step[0])), Math.min(w - 1, Math.max(0, at[1] + step[1]))];
    setCursor(next);
    grid.current.querySelector(`[data-cell="${next}"]`)?.focus();
  };
  const cell = (y, x) => {
    const inside = y >= 0 && y < h && x >= 0 && x < w, value = inside ? values[y * w + x] : border.value;
    const mark = marked && marked(y, x), chosen = inside && picked && picked[0] === y && picked[1] === x;
    const kind = `number ${inside ? "" : "padding"} ${mark === true ? "lit" : mark || ""} ${chosen ? "chosen" : ""}`;
    if (!inside) return html`<td key=${x} role="gridcell" class=${kind} title="padding">${short(value)}</td>`;
    const label = `${title} [${y}, ${x}]`, focus = () => setCursor([y, x]);
    const common = { class: "cell", "data-cell": `${y},${x}`, tabIndex: at[0] === y && at[1] === x ? 0 : -1 };
    const inner = onEdit ? html`<${NumberCell} ...${common} label=${label} value=${value} onFocus=${() => { focus(); onPick && onPick(y, x); }} onChange=${(next) => onEdit(y, x, next)} />`
      : onPick ? html`<button ...${common} aria-label=${`${label}: ${short(value)}`} aria-pressed=${!!chosen} onFocus=${focus} onClick=${() => onPick(y, x)}>${short(value)}</button>`
      : html`<span ...${common} aria-label=${`${label}: ${short(value)}`} role="img" onFocus=${focus}>${short(value)}</span>`;
    return html`<td key=${x} role="gridcell" class=${kind} data-value=${value} title=${value} style=${{ background: colourOf(value, used), color: inkOn(value, used) }}>${inner}</td>`;
  };
  const span = (from, to) => [...Array(to - from).keys()].map((i) => i + from);
  return html`<table class="grid" role="grid" aria-label=${title} ref=${grid} onKeyDown=${move}><tbody>${span(-top, h + bottom).map((y) =>
    html`<tr key=${y} role="row">${span(-left, w + right).map((x) => cell(y, x))}</tr>`)}</tbody></table>`;
}

// A number that can be changed: in full while it is edited, else short.
function NumberCell({ value, label, onFocus, onChange, ...rest }) {
  const [text, setText] = useState(null);
  const take = (given) => {
    setText(given);
    const number = Number(given.replace(",", "."));
    if (given.trim() !== "" && Number.isFinite(number)) onChange(number);
  };
  const wrong = text !== null && (text.trim() === "" || !Number.isFinite(Number(text.replace(",", "."))));
  return html`<input ...${rest} type="text" inputmode="decimal" autocomplete="off" aria-label=${label} aria-invalid=${wrong || undefined}
    value=${text ?? short(value)} onInput=${(event) => take(event.target.value)} onBlur=${() => setText(null)}
    onFocus=${(event) => { setText(String(value)); onFocus(); requestAnimationFrame(() => document.activeElement === event.target && event.target.select()); }} />`;
}

// The export of a view: `view()` gives {title, code, facts, canvases: [[canvas, alt], ...]}.
export function Export({ view }) {
  const [said, setSaid] = useState("");
  const run = (work) => async () => {
    try {
      await work(view());
      setSaid("Saved.");
    } catch (error) {
      setSaid(error.message);
    }
  };
  const body = async ({ title, code = "", facts = [], canvases = [] }) => ({ title, code, facts, pictures: canvases.map(([canvas, alt]) => ({ png: canvas.toDataURL("image/png").split(",")[1], alt })) });
  const leave = (event) => {
    if (event.key !== "Escape") return;
    event.currentTarget.open = false;
    event.currentTarget.querySelector("summary").focus();
  };
  return html`<details class="export" onKeyDown=${leave}><summary>Export</summary><div>
    <button onClick=${run(async (v) => save(await asPng(v), `${slug(v.title)}.png`))}>PNG</button>
    <button onClick=${run(async (v) => save(asSvg(v), `${slug(v.title)}.svg`))}>SVG</button>
    <button onClick=${run(async (v) => navigator.clipboard.writeText(v.code).catch(() => save(new Blob([v.code]), `${slug(v.title)}.py`)))}>Copy the Python code</button>
    <button onClick=${run(async (v) => save(await ask("/api/export/notebook", { json: await body(v) }), `${slug(v.title)}.ipynb`))}>Notebook</button>
    <button onClick=${run(async (v) => save(await ask("/api/export/page", { json: await body(v) }), `${slug(v.title)}.html`))}>One HTML page</button>
    <span role="status" class="small">${said}</span></div></details>`;
}

const slug = (title) => title.toLowerCase().replace(/[^a-z0-9]+/g, "-").replace(/^-|-$/g, "") || "view";

export function save(content, name) {
  const blob = content instanceof Blob ? content : new Blob([typeof content === "string" ? content : JSON.stringify(content, null, 1)]);
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Canvases below each other, enlarged to at least 256 pixels, with their captions.
const sized = (canvas) => Math.max(1, Math.ceil(256 / Math.max(canvas.width, canvas.height)));

// Of a view without a canvas, its facts.
const MOST = 60;
const lines = (facts, canvases) => (canvases.length ? [] : facts.slice(0, MOST).map(([name, value]) => `${name}: ${value}`));

async function asPng({ title, canvases = [], facts = [] }) {
  const width = Math.max(480, ...canvases.map(([c]) => c.width * sized(c))) + 32;
  const said = lines(facts, canvases), height = 56 + canvases.reduce((sum, [c]) => sum + c.height * sized(c) + 40, 0) + 20 * said.length;
  const sheet = Object.assign(document.createElement("canvas"), { width, height });
  const pen = sheet.getContext("2d");
  pen.fillStyle = "#fff"; pen.fillRect(0, 0, width, height);
  pen.fillStyle = "#16202c"; pen.font = "18px sans-serif"; pen.fillText(title, 16, 34);
  pen.font = "13px sans-serif"; pen.imageSmoothingEnabled = false;
  let y = 56;
  for (const [canvas, alt] of canvases) {
    pen.drawImage(canvas, 16, y, canvas.width * sized(canvas), canvas.height * sized(canvas));
    y += canvas.height * sized(canvas) + 18;
    pen.fillText(alt, 16, y, width - 32);
    y += 22;
  }
  said.forEach((line, k) => pen.fillText(line, 16, y + 14 + 20 * k, width - 32));
  return new Promise((done) => sheet.toBlob(done, "image/png"));
}

function asSvg({ title, canvases = [], facts = [] }) {
  const width = Math.max(480, ...canvases.map(([c]) => c.width * sized(c))) + 32;
  let y = 56;
  const parts = canvases.map(([canvas, alt]) => {
    const [w, h] = [canvas.width * sized(canvas), canvas.height * sized(canvas)], top = y;
    y += h + 40;
    return `<image x="16" y="${top}" width="${w}" height="${h}" style="image-rendering:pixelated" href="${canvas.toDataURL("image/png")}"/><text x="16" y="${top + h + 18}" font-size="13">${escaped(alt)}</text>`;
  });
  for (const line of lines(facts, canvases)) parts.push(`<text x="16" y="${(y += 20) - 6}" font-size="13">${escaped(line)}</text>`);
  return new Blob([`<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${y}" font-family="sans-serif"><rect width="100%" height="100%" fill="#fff"/><text x="16" y="34" font-size="18">${escaped(title)}</text>${parts.join("")}</svg>`], { type: "image/svg+xml" });
}

export const escaped = (text) => String(text).replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c]);
export { colourOf, inkOn, scaleOf, short, table };
