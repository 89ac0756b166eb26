// The data doctor: its findings, each with the samples to look at.
import { ask, useAnswer } from "../../api.js";
import { JobProgress, useJob } from "../../jobs.js";
import { html, useState } from "../../lib.js";
import { Choice, Export, NumberField, Tick, Waits } from "../../parts.js";
import { Drawn } from "./cards.js";

const SEVERITIES = { error: "Error", warning: "Warning", note: "Note" };

export function Doctor({ chosen, runs, data }) {
  const options = [...(data ? [["", `the open data: ${data}`]] : []), ...runs.map((run) => [run.name, `the data of ${run.name}`])];
  const [run, setRun] = useState(data ? "" : chosen.length ? chosen[0].name : "");
  const [limited, setLimited] = useState(true);
  const [limit, setLimit] = useState(2000);
  const key = `doctor:${run}:${limited ? limit : "all"}`, work = useJob(options.length ? key : "");
  if (!options.length) return html`<section class="panel"><h2>Data</h2><p>The doctor looks at a data set. Start the Studio with one: <code>neocog studio photos/</code>.</p></section>`;
  const begin = () => work.start("/api/runs/doctor", { run, limit: limited ? limit : null });
  const done = work.job && work.job.state === "done";
  return html`<div class="stack"><section class="panel" aria-labelledby="doctor-head"><h2 id="doctor-head">What is wrong with the data?</h2>
      <p class="small quiet">The doctor opens every sample and looks for damage, duplicates, mislabelled and missing things. It changes nothing.</p>
      <div class="row"><${Choice} label="Data" value=${run} options=${options} onChange=${setRun} />
        <${Tick} label="at most" checked=${limited} onChange=${setLimited} />
        ${limited && html`<${NumberField} label="samples" value=${limit} min=${1} onChange=${(value) => value >= 1 && setLimit(Math.round(value))} />`}
        ${!done && html`<button class="main" disabled=${work.job && work.job.state === "running"} onClick=${begin}>Examine</button>`}</div>
      <${JobProgress} work=${work} again=${begin} /></section>
    ${done && html`<${Findings} key=${key} name=${key} />`}</div>`;
}

function Findings({ name }) {
  const answer = useAnswer((signal) => ask("/api/runs/findings", { query: { key: name }, signal }), [name]);
  return html`<${Waits} answer=${answer}>${(found) => html`<section class="panel" aria-labelledby="findings-head"><div class="head"><h2 id="findings-head">${found.name}: ${found.summary}</h2>
      <${Export} view=${() => ({ title: `What the doctor found in ${found.name}`, code: found.code, facts: found.findings.map((each) => [SEVERITIES[each.severity], each.sentence]) })} /></div>
    ${found.what && html`<p class="small quiet">Read as ${found.what}. ${Object.entries(found.splits).map(([split, count]) => `${count.toLocaleString("en")} ${split}`).join(", ")}.</p>`}
    ${found.notices.length > 0 && html`<ul class="small">${found.notices.map((each, i) => html`<li key=${i}>${each}</li>`)}</ul>`}
    ${found.findings.length === 0 && html`<p>Nothing was found.</p>`}
    ${found.findings.map((each) => html`<article key=${each.kind} class=${`finding ${each.severity}`}><h3><span class="tag">${SEVERITIES[each.severity]}</span> ${each.sentence}</h3>
      <p class="small">${each.remedy}</p>
      <ul class="cards">${each.examples.map((example, i) => html`<li key=${i}><figure><div class="pair">${example.drawings.map((one, j) => html`<${Drawn} key=${j} sample=${one} />`)}</div>
        <figcaption><span class="key" title=${example.key}>${example.key}</span>${example.detail && html`<span class="small quiet">${example.detail}</span>`}</figcaption></figure></li>`)}</ul></article>`)}</section>`}</${Waits}>`;
}
