// Runs and errors: live curves, what a run gets wrong, two runs compared, what the doctor finds in the data.
import { ask, useAnswer } from "../api.js";
import { short } from "../draw.js";
import { JobProgress, useJob } from "../jobs.js";
import { html, useEffect, useState } from "../lib.js";
import { Waits } from "../parts.js";
import { Compare } from "./runs/compare.js";
import { Curves } from "./runs/curves.js";
import { Doctor } from "./runs/doctor.js";
import { Errors } from "./runs/errors.js";

const PAUSE = 3000; // milliseconds
const VIEWS = [["curves", "Curves", Curves], ["errors", "Errors", Errors], ["compare", "Compare", Compare], ["data", "Data", Doctor]];

export function Runs({ query, go, put }) {
  const [again, setAgain] = useState(0);
  const answer = useAnswer((signal) => ask("/api/runs", { signal }), [again]);
  // A list with runs that train, or without one that the address names, is asked again.
  const known = answer.value ? answer.value.runs : [], wanted = (query.run || "").split(",").filter(Boolean);
  const changing = known.some((run) => run.training) || wanted.some((name) => !known.some((run) => run.name === name));
  useEffect(() => {
    const timer = changing ? setInterval(() => setAgain((n) => n + 1), PAUSE) : null;
    return () => clearInterval(timer);
  }, [changing]);
  const move = (parts) => (put || go)("runs", { ...query, ...parts });
  const here = VIEWS.find(([name]) => name === query.view) || VIEWS[0];
  return html`<div class="runs"><div class="head"><h1>Runs and errors</h1></div>
    <${Waits} answer=${answer}>${(found) => {
      const chosen = chosenRuns(query, found.runs), View = here[2];
      if (!found.runs.length && here[0] !== "data") return html`<${Empty} go=${go} folder=${found.folder} data=${found.data} />`;
      return html`<div class="side"><section class="panel" aria-labelledby="runs-list"><h2 id="runs-list">Runs</h2>
          <${List} runs=${found.runs} chosen=${chosen} one=${here[0] === "errors"} move=${move} /></section>
        <div><div class="row tabs" role="group" aria-label="Views">${VIEWS.map(([name, title]) => html`<button key=${name} aria-pressed=${name === here[0]} onClick=${() => move({ view: name, ...NO_CELL })}>${title}</button>`)}</div>
          <${View} runs=${found.runs} chosen=${chosen} query=${query} move=${move} go=${go} data=${found.data} /></div></div>`;
    }}</${Waits}></div>`;
}

export const NO_CELL = { truth: undefined, prediction: undefined, wrong: undefined, bin: undefined, label: undefined, kind: undefined };

// The runs that the address names and that there are; else the newest.
function chosenRuns(query, runs) {
  const names = (query.run || "").split(",").filter(Boolean), found = names.map((name) => runs.find((each) => each.name === name)).filter(Boolean);
  return found.length ? found : runs.slice(0, 1);
}

function List({ runs, chosen, one, move }) {
  const names = chosen.map((each) => each.name);
  const toggle = (name) => {
    const next = one ? [name] : names.includes(name) ? names.filter((each) => each !== name) : [...names, name];
    move({ run: next.join(","), ...NO_CELL });
  };
  return html`<ul class="run-list">${runs.map((run) => html`<li key=${run.name}><label>
    <input type=${one ? "radio" : "checkbox"} name="run" checked=${one ? names[0] === run.name : names.includes(run.name)} onChange=${() => toggle(run.name)} />
    <span><strong>${run.name}</strong>${run.training ? html` <span class="tag live">training</span>` : ""}${run.example ? html` <span class="tag">example</span>` : ""}<br />
      <span class="small quiet">${facts(run)}</span></span></label></li>`)}</ul>`;
}

function facts(run) {
  const [metric] = Object.entries(run.metrics);
  const state = run.finished ? metric && `${metric[0]} ${short(metric[1])} on ${run.split}` : run.training ? `epoch ${run.epochs}` : `not finished, ${run.epochs} epochs`;
  return [run.model, run.data, state].filter(Boolean).join(" · ");
}

function Empty({ go, folder, data }) {
  const work = useJob("example:lenet-digits");
  const begin = () => work.start("/api/lessons/example", { name: "lenet-digits" });
  if (work.job && work.job.state === "done") return html`<div class="panel"><p>The example is trained.</p><button class="main" onClick=${() => go("runs", { run: "lenet-digits", view: "errors" })}>Show it</button></div>`;
  return html`<div class="panel"><h2>No run yet</h2><p>${folder ? html`There is no run in <code>${folder}</code>.` : "This screen looks at runs."} Start the Studio with a run or a folder of runs: <code>neocog studio runs/</code>. A run that is still training is followed live.</p>
    <p class="row"><button class="main" onClick=${begin}>Train an example</button> ${data && html`<button onClick=${() => go("runs", { view: "data" })}>Examine the data</button>`}</p>
    <p class="quiet small">LeNet on 3,000 drawn digits, in some seconds.</p><${JobProgress} work=${work} again=${begin} /></div>`;
}
