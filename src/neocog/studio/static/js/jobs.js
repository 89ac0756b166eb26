// Work in the background of the server: start it, follow it, stop it.
import { ask } from "./api.js";
import { html, useEffect, useState } from "./lib.js";

const PAUSE = 400; // milliseconds between two looks

// The job with this key, or null: {job, error, start(path, json), stop()}. It is followed until it ends.
export function useJob(key) {
  const [state, setState] = useState({ key: null, job: null, error: null });
  const job = state.key === key ? state.job : null;
  const set = (found) => setState({ key, job: found, error: null });
  const fail = (error) => setState((before) => ({ ...before, key, error }));
  useEffect(() => {
    let gone = false, timer = null;
    const look = async () => {
      try {
        const found = key ? await ask("/api/runs/job", { query: { key } }) : null;
        if (gone) return;
        set(found);
        if (found && found.state === "running") timer = setTimeout(look, PAUSE);
      } catch (error) {
        if (gone) return;
        fail(error);
        if (error.kind === "offline") timer = setTimeout(look, 5 * PAUSE);
      }
    };
    look();
    return () => { gone = true; clearTimeout(timer); };
  }, [key, state.begun]);
  const start = async (path, json) => {
    try {
      const found = await ask(path, { json });
      setState({ key, job: found, error: null, begun: Date.now() });
      return found;
    } catch (error) {
      fail(error);
      return null;
    }
  };
  const stop = () => ask("/api/runs/job", { method: "DELETE", query: { key } }).then(set, fail);
  return { job, error: state.key === key ? state.error : null, start, stop };
}

// The jobs of this screen open networks; the other screens learn of it by this event.
export function useOpened(done) {
  useEffect(() => { if (done) dispatchEvent(new Event("neocog-opened")); }, [!!done]);
}

// How far a job is, with a button that stops it; what it said, and why it failed.
export function JobProgress({ work, again }) {
  const { job, error, stop } = work;
  if (error) return html`<div class="error" role="alert"><p>${error.message}</p>${again && html`<button onClick=${again}>Try again</button>`}</div>`;
  if (!job || job.state === "done") return null;
  if (job.state === "failed") return html`<div class="error" role="alert"><p>${job.error}</p>${again && html`<button onClick=${again}>Try again</button>`}</div>`;
  if (job.state === "stopped") return html`<p class="row" role="status">Stopped. ${again && html`<button onClick=${again}>Start again</button>`}</p>`;
  return html`<div class="row job" role="status"><label class="field"><span>${job.title}: ${job.label}</span>
    <progress max="1" value=${job.label === "training" || job.share === 0 ? undefined : job.share}>${Math.round(100 * job.share)}%</progress></label>
    <button onClick=${stop}>Stop</button></div>`;
}

export const Notes = ({ job }) => (job && job.notes.length ? html`<ul class="small quiet">${job.notes.map((each, i) => html`<li key=${i}>${each}</li>`)}</ul>` : null);
