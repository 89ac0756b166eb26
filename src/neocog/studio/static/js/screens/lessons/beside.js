// The screen beside a lesson's text. It may move on to other screens without leaving the lesson.
import { ask } from "../../api.js";
import { html, useEffect, useState } from "../../lib.js";
import { SCREENS } from "../index.js";

const PAUSE = 500; // milliseconds between two looks at an example

const needsNetwork = (screen) => !!(SCREENS.find((each) => each.name === screen) || {}).needsNetwork;
const examplesOf = (show) => show.example.split(",").filter(Boolean);
const queryOf = (show) => ({ ...(needsNetwork(show.screen) && show.example ? { network: examplesOf(show).pop() } : {}), ...show.query });
export const addressOf = (show) => `#/${show.screen}?${new URLSearchParams(queryOf(show))}`;

export function Beside({ show, overview, practice, onBench }) {
  const [place, setPlace] = useState({ screen: show.screen, query: queryOf(show) });
  const examples = useExamples(examplesOf(show), overview);
  const go = (screen, query = {}) => {
    const given = Object.fromEntries(Object.entries(query).filter(([, v]) => v !== undefined && v !== null && v !== "").map(([k, v]) => [k, String(v)]));
    setPlace({ screen, query: given });
  };
  // A link to another screen opens it here, too.
  const follow = (event) => {
    const link = event.target.closest("a[href^='#/']");
    if (!link || event.defaultPrevented || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    const [screen, query] = link.getAttribute("href").slice(2).split("?");
    go(screen, Object.fromEntries(new URLSearchParams(query || "")));
  };
  useEffect(() => { if (place.screen === "bench") onBench(place.query); }, [place]);
  const found = SCREENS.find((each) => each.name === place.screen);
  const waits = needsNetwork(place.screen) && !examples.ready;
  return html`<section class=${practice ? "beside practice" : "beside"} aria-label=${found ? `${found.title}, beside the lesson` : "Beside the lesson"}>
    <div class="row beside-head"><a href=${`#/${place.screen}?${new URLSearchParams(place.query)}`}>Open it alone</a>
      ${addressOf(show) !== addressOf({ ...place, example: "" }) && html`<button onClick=${() => setPlace({ screen: show.screen, query: queryOf(show) })}>As the lesson sets it</button>`}</div>
    ${examples.said && html`<div class="panel" role=${examples.failed ? "alert" : "status"}><p>${examples.said}</p>${examples.failed ? html`<button onClick=${examples.again}>Try again</button>` : html`<progress aria-label="Progress of the example" />`}</div>`}
    ${!found ? html`<p>This Studio has no screen called ${place.screen}.</p>`
      : waits ? null : html`<div class="embedded" onClick=${follow}><${found.view} key=${place.screen} overview=${overview} query=${place.query} go=${go} put=${go} /></div>`}</section>`;
}

// Opens the example networks of a step, one after the other; {ready, said, failed, again}.
function useExamples(names, overview) {
  const [state, setState] = useState({ said: "", failed: false });
  const [again, setAgain] = useState(0);
  const missing = names.filter((name) => !overview.networks.some((each) => each.name === name));
  useEffect(() => {
    let gone = false;
    const open = async () => {
      try {
        for (const name of missing) {
          let job = await ask("/api/lessons/example", { json: { name } });
          while (!gone && job.state === "running") {
            setState({ said: `${job.label === "training" ? "Training" : "Opening"} ${job.title}. The first time, this takes some seconds.`, failed: false });
            await new Promise((done) => { setTimeout(done, PAUSE); });
            job = await ask("/api/runs/job", { query: { key: job.key } });
          }
          if (gone) return;
          if (job.state !== "done") throw new Error(job.error || "The example was stopped.");
        }
        setState({ said: "", failed: false });
        dispatchEvent(new Event("neocog-opened"));
      } catch (error) {
        if (!gone) setState({ said: error.message, failed: true });
      }
    };
    if (missing.length) open(); else setState({ said: "", failed: false });
    return () => { gone = true; };
  }, [missing.join(","), again]);
  return { ready: missing.length === 0, ...state, again: () => setAgain((n) => n + 1) };
}
