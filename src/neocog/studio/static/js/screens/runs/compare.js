// Two runs on the same samples: which is better, by how much, and on which samples they differ.
import { ask, useAnswer } from "../../api.js";
import { JobProgress, Notes, useJob, useOpened } from "../../jobs.js";
import { html, useState } from "../../lib.js";
import { Choice, Export, Waits } from "../../parts.js";
import { Card, Pages, networkOf } from "./cards.js";
import { percent } from "./errors.js";

export function Compare({ runs, chosen, query, move, go }) {
  const usable = runs.filter((run) => run.has_model);
  const named = (name, other) => (usable.some((run) => run.name === name) ? name : (chosen.find((run) => run.has_model && run.name !== other) || usable.find((run) => run.name !== other) || { name: "" }).name);
  const a = named(query.a, query.b), b = named(query.b, a);
  const work = useJob(a && b ? `compare:${a}:${b}` : "");
  const done = work.job && work.job.state === "done";
  useOpened(done);
  if (usable.length < 2) return html`<section class="panel"><h2>Compare</h2><p>Two runs that are finished are needed. There ${usable.length ? "is one" : "is none"}.</p></section>`;
  const begin = () => work.start("/api/runs/compare", { a, b });
  const names = usable.map((run) => run.name);
  return html`<div class="stack"><section class="panel" aria-labelledby="compare-head"><h2 id="compare-head">Compare two runs, sample by sample</h2>
      <p class="small quiet">Both models go through the test samples of A, without those that B was trained on.</p>
      <div class="row"><${Choice} label="A" value=${a} options=${names} onChange=${(name) => move({ a: name, b: name === b ? a : b })} />
        <${Choice} label="B" value=${b} options=${names} onChange=${(name) => move({ a: name === a ? b : a, b: name })} />
        ${!done && html`<button class="main" disabled=${a === b || (work.job && work.job.state === "running")} onClick=${begin}>Compare</button>`}</div>
      <${JobProgress} work=${work} again=${begin} /><${Notes} job=${work.job} /></section>
    ${done && html`<${Result} key=${`${a}\n${b}`} a=${a} b=${b} runs=${runs} go=${go} />`}</div>`;
}

function Result({ a, b, runs, go }) {
  const [start, setStart] = useState(0);
  const answer = useAnswer((signal) => ask("/api/runs/comparison", { query: { a, b, start, count: 24 }, signal }), [a, b, start]);
  const network = networkOf(runs.find((run) => run.name === a));
  return html`<${Waits} answer=${answer}>${(found) => html`<div class="stack"><section class="panel" aria-labelledby="result-head"><div class="head"><h2 id="result-head">${found.count.toLocaleString("en")} samples of ${found.data}, ${found.split}</h2>
      <${Export} view=${() => ({ title: `${a} and ${b}`, code: found.code, facts: [["result", found.sentence], ...found.metrics.map((m) => [m.name, `A ${percent(m.a)(m.a.value)}, B ${percent(m.b)(m.b.value)}`])] })} /></div>
    <p>${found.sentence}</p>
    <div class="scroll" tabindex="0" role="region" aria-label="Metrics of both"><table><thead><tr><th scope="col">metric</th><th scope="col" class="number">A: ${a}</th><th scope="col" class="number">B: ${b}</th></tr></thead>
      <tbody>${found.metrics.map((m) => html`<tr key=${m.name}><th scope="row">${m.name}</th><td class="number">${percent(m.a)(m.a.value)}</td><td class="number">${percent(m.b)(m.b.value)}</td></tr>`)}</tbody></table></div></section>
    <section class="panel" aria-labelledby="differ-head"><h2 id="differ-head">Samples on which they differ: ${found.num_differing.toLocaleString("en")}</h2>
      <ul class="cards">${found.differing.map((each) => html`<${Card} key=${each.key} sample=${each} network=${network} go=${go}><dl><dt>true</dt><dd>${each.target || "–"}</dd>
        <dt>A</dt><dd class=${each.score_a > each.score_b ? "good" : ""}>${each.a || each.score_a.toPrecision(3)}</dd><dt>B</dt><dd class=${each.score_b > each.score_a ? "good" : ""}>${each.b || each.score_b.toPrecision(3)}</dd></dl></${Card}>`)}</ul>
      <${Pages} start=${start} shown=${found.differing.length} count=${found.listed} to=${setStart} /></section></div>`}</${Waits}>`;
}
