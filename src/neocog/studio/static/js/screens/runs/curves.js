// The curves of several runs, by epoch; a run that trains is followed by server-sent events.
import { ask, listen, useAnswer } from "../../api.js";
import { short } from "../../draw.js";
import { html, useEffect, useMemo, useRef, useState } from "../../lib.js";
import { Export, Tick, Waits } from "../../parts.js";
import { Plot } from "../../plot.js";

const OTHERS = ["epoch", "lr", "seconds", "samples_per_second"];
const address = (names) => names.map((name) => `run=${encodeURIComponent(name)}`).join("&");

export function Curves({ chosen }) {
  const names = chosen.map((each) => each.name), key = names.join("\n");
  const answer = useAnswer((signal) => ask(`/api/runs/history?${address(names)}`, { signal }), [key]);
  const [fresh, setFresh] = useState({});
  const open = chosen.some((each) => !each.finished);
  useEffect(() => {
    setFresh({});
    if (!open) return undefined;
    const close = listen(`/api/runs/follow?${address(names)}`, (name, told) => (name === "end" ? close() : setFresh((before) => ({ ...before, [told.name]: told }))), ["history", "end"]);
    return close;
  }, [key, open]);
  return html`<${Waits} answer=${answer}>${(found) => html`<${Charts} runs=${found.runs.map((run) => fresh[run.name] || run)} live=${open} />`}</${Waits}>`;
}

function Charts({ runs, live }) {
  const [steps, setSteps] = useState(false);
  const box = useRef();
  const groups = useMemo(() => groupsOf(runs, steps), [runs, steps]);
  const few = runs.every((run) => (run.epochs.epoch || []).length < 2);
  useEffect(() => { if (few && !groups.length) setSteps(true); }, [few]);
  const view = () => ({ title: "Training curves", code: runs.map((run) => run.code).join("\n"), facts: runs.flatMap((run) => lastOf(run)), canvases: [...box.current.querySelectorAll(".plot")].map((each) => [each.querySelector("canvas"), each.querySelector("h3").textContent]) });
  return html`<section class="panel" aria-labelledby="curves-head"><div class="head"><h2 id="curves-head">Training curves</h2>
      <${Tick} label="by step" checked=${steps} onChange=${setSteps} /><${Export} view=${view} /></div>
    ${live && html`<p class="small quiet" role="status">These curves follow the run while it trains.</p>`}
    ${groups.length === 0 && html`<p>No epoch is finished yet.${steps ? "" : " Steps may be there already."}</p>`}
    <div class="plots" ref=${box}>${groups.map((group) => html`<${Plot} key=${group.title} ...${group} />`)}</div>
    ${!steps && html`<p class="small quiet">Solid: validation. Dashed: training. A ring: the epoch whose weights were kept.</p>`}
    ${runs.map((run) => run.messages.length ? html`<details key=${run.name}><summary>What ${run.name} had to say (${run.messages.length})</summary><ul class="small">${run.messages.map((each, i) => html`<li key=${i}>${each}</li>`)}</ul></details>` : null)}
    <details><summary>The numbers as a table</summary>${runs.map((run) => html`<${Rows} key=${run.name} run=${run} />`)}</details></section>`;
}

// One chart for each metric: its training and validation column of every run.
function groupsOf(runs, steps) {
  if (steps) return stepsOf(runs);
  const metrics = [...new Set(runs.flatMap((run) => Object.keys(run.epochs).filter((name) => !OTHERS.includes(name)).map((name) => name.replace(/^(train|val)_/, ""))))];
  const most = Math.max(0, ...runs.map((run) => Math.max(0, ...(run.epochs.epoch || [])))), x = [...Array(most).keys()].map((i) => i + 1);
  if (!most) return [];
  return metrics.map((metric) => {
    const series = runs.flatMap((run, index) => ["val", "train"].filter((part) => run.epochs[`${part}_${metric}`]).map((part) => ({
      label: runs.length > 1 ? `${run.name}, ${part === "val" ? "validation" : "training"}` : part === "val" ? "validation" : "training",
      colour: index, dash: part === "train", values: placed(run, `${part}_${metric}`, x), mark: part === "val" && run.best.length ? [run.best[run.best.length - 1]] : [],
    })));
    return { title: metric, x, series, unit: "epoch", told: `${metric} by epoch. ${series.map(told).join("; ")}.` };
  });
}

function stepsOf(runs) {
  const x = [...new Set(runs.flatMap((run) => run.steps.step))].sort((a, b) => a - b);
  if (!x.length) return [];
  return ["loss", "lr"].map((name) => {
    const series = runs.map((run, index) => {
      const at = new Map(run.steps.step.map((step, i) => [step, run.steps[name][i]]));
      return { label: runs.length > 1 ? run.name : name, colour: index, values: x.map((step) => at.get(step) ?? null) };
    });
    return { title: name === "lr" ? "learning rate" : "training loss", x, series, unit: "step", told: `${name} by step. ${series.map(told).join("; ")}.` };
  });
}

const placed = (run, column, x) => {
  const at = new Map((run.epochs.epoch || []).map((epoch, i) => [epoch, run.epochs[column][i]]));
  return x.map((epoch) => at.get(epoch) ?? null);
};

function told({ label, values }) {
  const known = values.filter((value) => value !== null);
  return known.length ? `${label} from ${short(known[0])} to ${short(known[known.length - 1])}` : `${label}: none`;
}

const lastOf = (run) => Object.entries(run.epochs).map(([name, values]) => [`${run.name}, ${name}, last epoch`, short(values[values.length - 1])]);

function Rows({ run }) {
  const columns = Object.keys(run.epochs);
  if (!columns.length) return html`<p>${run.name} has no finished epoch.</p>`;
  return html`<div class="scroll" tabindex="0" role="region" aria-label=${`Epochs of ${run.name}`}><table><caption>${run.name}</caption><thead><tr>${columns.map((name) => html`<th key=${name} scope="col" class="number">${name.replaceAll("_", " ")}</th>`)}</tr></thead>
    <tbody>${run.epochs[columns[0]].map((_, i) => html`<tr key=${i}>${columns.map((name) => html`<td key=${name} class="number">${short(run.epochs[name][i])}</td>`)}</tr>`)}</tbody></table></div>`;
}
