// Questions to the server. An answer that is an error is thrown as Failure; a server that is gone shows in `online`.
import { signal } from "./lib.js";
import { unpack } from "./wire.js";

export const online = signal(true);
const TENSORS = "application/x-neocog-tensors";

export class Failure extends Error {
  constructor(facts) {
    super(facts.error || "The Studio did not answer.");
    Object.assign(this, facts);
  }
}

// Ask, and return JSON or {meta, tensors}. `signal` is that of an AbortController.
export async function ask(path, { query, json, body, signal: stop, method } = {}) {
  const address = new URL(path, location.origin);
  for (const [key, value] of Object.entries(query || {})) {
    if (value !== undefined && value !== null && value !== "") address.searchParams.set(key, value);
  }
  const settings = { method: method || (json || body ? "POST" : "GET"), signal: stop };
  if (json) Object.assign(settings, { body: JSON.stringify(json), headers: { "Content-Type": "application/json" } });
  if (body) Object.assign(settings, { body, headers: { "Content-Type": "application/octet-stream" } });
  let response, content;
  try {
    response = await fetch(address, settings);
    online.value = true;
    const kind = (response.headers.get("Content-Type") || "").split(";")[0];
    content = kind === TENSORS ? await response.arrayBuffer() : kind === "application/json" ? await response.json() : await response.blob();
  } catch (error) {
    if (error.name === "AbortError") throw error;
    online.value = false; // no answer, or one that was cut off
    watch();
    throw new Failure({ error: "The Studio can't be reached. Is its terminal still open?", kind: "offline" });
  }
  if (!response.ok) throw new Failure(content instanceof Blob ? { error: `The server answered ${response.status}.` } : content);
  return content instanceof ArrayBuffer ? unpack(content) : content;
}

// While the server is gone, look every two seconds whether it is back.
let watching = null;
function watch() {
  if (watching) return;
  watching = setInterval(async () => {
    try {
      const response = await fetch("/api/overview");
      if (!response.ok && response.status !== 401) return;
      clearInterval(watching);
      watching = null;
      online.value = true;
      dispatchEvent(new Event("neocog-back"));
    } catch {
      // still gone
    }
  }, 2000);
}

// Server-sent events: calls `take(name, data)` until the function that is returned is called.
export function listen(path, take, names) {
  const source = new EventSource(path);
  for (const name of names) source.addEventListener(name, (event) => take(name, JSON.parse(event.data)));
  source.onerror = () => { if (source.readyState === EventSource.CLOSED) { online.value = false; watch(); } };
  return () => source.close();
}

// A function's answer as {value, error, busy}; asked again when `keys` change, older answers are dropped.
import { useEffect, useState } from "./lib.js";
export function useAnswer(askFor, keys, { wait = 0 } = {}) {
  const [state, setState] = useState({ value: null, error: null, busy: true });
  const [again, setAgain] = useState(0);
  useEffect(() => {
    const back = () => setAgain((n) => n + 1);
    addEventListener("neocog-back", back);
    return () => removeEventListener("neocog-back", back);
  }, []);
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, busy: true }));
    const timer = setTimeout(async () => {
      try {
        const value = await askFor(stop.signal);
        if (!stop.signal.aborted) setState({ value, error: null, busy: false });
      } catch (error) {
        if (!stop.signal.aborted) setState((before) => ({ value: before.value, error, busy: false }));
      }
    }, wait);
    return () => { clearTimeout(timer); stop.abort(); };
  }, [...keys, again]);
  return state;
}
