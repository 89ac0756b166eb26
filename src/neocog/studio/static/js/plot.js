// Curves with uPlot: one chart, its legend with the values under the cursor, in the colours of the theme.
import { short } from "./draw.js";
import { html, useEffect, useRef, useState } from "./lib.js";

export const COLOURS = 8; // --line-0 ... in runs.css
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
export const lineColour = (index) => css(`--line-${index % COLOURS}`);

// `x` numbers, `series` [{label, values, colour: index, dash, mark: [x, ...]}]; `told` is the chart in words.
export function Plot({ title, x, series, unit, told, height = 240 }) {
  const place = useRef(), chart = useRef();
  const [at, setAt] = useState(null);
  const shape = JSON.stringify([title, series.map((each) => [each.label, each.colour, each.dash])]);
  useEffect(() => {
    const box = place.current;
    const axis = { stroke: () => css("--quiet"), grid: { stroke: () => css("--line"), width: 1 }, ticks: { stroke: () => css("--line"), width: 1 }, font: "12px system-ui, sans-serif" };
    chart.current = new globalThis.uPlot({
      width: Math.max(200, box.clientWidth), height, legend: { show: false }, scales: { x: { time: false } }, cursor: { drag: { x: false, y: false } },
      axes: [{ ...axis, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 1e4, 2e4, 5e4, 1e5] }, { ...axis, size: 58, values: (_, all) => all.map(short) }],
      series: [{}, ...series.map((each) => ({
        label: each.label, stroke: () => lineColour(each.colour), width: 2, dash: each.dash ? [6, 4] : undefined, spanGaps: true,
        points: { show: x.length < 40, size: 5, fill: () => lineColour(each.colour) },
      }))],
      hooks: { setCursor: [(plot) => setAt(plot.cursor.idx ?? null)], draw: [(plot) => series.forEach((each, i) => marks(plot, each, i + 1, x))] },
    }, [x, ...series.map((each) => each.values)], box);
    const sized = new ResizeObserver(() => box.clientWidth && chart.current.setSize({ width: box.clientWidth, height }));
    sized.observe(box);
    const themed = new MutationObserver(() => chart.current.redraw(false, true));
    themed.observe(document.documentElement, { attributes: true, attributeFilter: ["data-theme"] });
    return () => { sized.disconnect(); themed.disconnect(); chart.current.destroy(); };
  }, [shape]);
  useEffect(() => { chart.current.setData([x, ...series.map((each) => each.values)]); }, [x, series]);
  return html`<figure class="plot"><h3>${title}</h3><div ref=${place} role="img" aria-label=${told} />
    <figcaption><span class="number">${at === null ? `last ${unit}` : `${unit} ${x[at] ?? "–"}`}</span><ul class="legend-list">${series.map((each, i) => html`<li key=${i}>
      <svg width="22" height="10" aria-hidden="true"><line x1="0" x2="22" y1="5" y2="5" stroke-width="3" stroke-dasharray=${each.dash ? "6 4" : ""} style=${{ stroke: `var(--line-${each.colour % COLOURS})` }} /></svg>
      ${each.label} <span class="number">${short(at === null ? last(each.values) : each.values[at] ?? null)}</span></li>`)}</ul></figcaption></figure>`;
}

const last = (values) => values.reduce((found, value) => value ?? found, null);

// A ring around the best epoch.
function marks(plot, each, index, x) {
  for (const place of each.mark || []) {
    const at = x.indexOf(place), value = plot.data[index][at];
    if (at < 0 || value === null || value === undefined) continue;
    const pen = plot.ctx;
    pen.save();
    pen.lineWidth = 2 * devicePixelRatio;
    pen.strokeStyle = css("--ink");
    pen.beginPath();
    pen.arc(plot.valToPos(place, "x", true), plot.valToPos(value, "y", true), 6 * devicePixelRatio, 0, 2 * Math.PI);
    pen.stroke();
    pen.restore();
  }
}
