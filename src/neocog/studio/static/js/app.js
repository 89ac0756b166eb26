// The shell: the bar, the screen that the address names, and what is said when the server is gone.
import { ask, online } from "./api.js";
import { Problem } from "./parts.js";
import { html, render, signal, useEffect, useErrorBoundary, useRef, useState } from "./lib.js";
import { SCREENS } from "./screens/index.js";

// #/image?network=a -> {screen: "image", query: {network: "a"}}
export const place = signal(read());
function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { screen: path || "bench", query: Object.fromEntries(new URLSearchParams(query || "")) };
}
let later = null;
addEventListener("hashchange", () => { clearTimeout(later); place.value = read(); });

function address(screen, query) {
  const text = new URLSearchParams(query).toString().replaceAll("%2C", ",").replaceAll("%2F", "/");
  return `#/${screen}${text ? `?${text}` : ""}`;
}
const given = (query) => Object.fromEntries(Object.entries(query).filter(([, v]) => v !== undefined && v !== null && v !== "").map(([k, v]) => [k, String(v)]));

// Go to a screen with what it should show: a step in the browser's history.
export function go(screen, query = {}) {
  location.hash = address(screen, given(query));
}

// Show something else in the same step of the history. Browsers limit how often an address may change, so it follows.
export function put(screen, query = {}) {
  place.value = { screen, query: given(query) };
  clearTimeout(later);
  later = setTimeout(() => history.replaceState(null, "", address(screen, place.value.query)), 200);
}
globalThis.neocogGo = go; // for tests and lessons
globalThis.neocogPut = put;

const theme = signal(localStorage.getItem("theme") || "");
function setTheme(value) {
  theme.value = value;
  localStorage.setItem("theme", value);
  value ? (document.documentElement.dataset.theme = value) : delete document.documentElement.dataset.theme;
}
setTheme(theme.value);

// The token has done its work once the cookie is there; it should not stay in the history.
if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname + location.hash);

// A screen that fails says so; the others go on.
function Fence({ children }) {
  const [error, reset] = useErrorBoundary((fault) => console.error(fault));
  return error ? html`<${Problem} error=${{ message: `This screen failed: ${error.message}` }} again=${reset} />` : children;
}

// Opens one more bundle, run or data set of this machine.
function Open({ done }) {
  const [said, setSaid] = useState(null);
  const [busy, setBusy] = useState(false);
  const open = async (event) => {
    event.preventDefault();
    setBusy(true);
    setSaid(null);
    try {
      done(await ask("/api/open", { json: { target: event.target.elements.target.value } }));
      setSaid("Opened.");
    } catch (error) {
      setSaid(error);
    }
    setBusy(false);
  };
  return html`<form class="open" onSubmit=${open}><label class="field"><span>A bundle, a run folder, a folder of runs, or data</span>
    <input name="target" type="text" required autocomplete="off" spellcheck=${false} placeholder="runs/photos-auto-1" /></label>
    <button class="main" disabled=${busy}>${busy ? "Opening ..." : "Open"}</button>
    <div role="status" class="small">${said instanceof Error ? html`<span class="bad">${said.message}</span>` : said}</div></form>`;
}

function Menu({ title, children }) {
  const menu = useRef();
  const leave = (event) => {
    if (event.key === "Escape") {
      menu.current.open = false;
      menu.current.querySelector("summary").focus();
    }
  };
  return html`<details class="menu" ref=${menu} onKeyDown=${leave}><summary>${title}</summary><div>${children}</div></details>`;
}

function Shell() {
  const [overview, setOverview] = useState(null);
  const [error, setError] = useState(null);
  const load = () => ask("/api/overview").then((found) => { setOverview(found); setError(null); }, setError);
  useEffect(() => {
    load();
    const events = ["neocog-back", "neocog-opened"];
    events.forEach((name) => addEventListener(name, load));
    return () => events.forEach((name) => removeEventListener(name, load));
  }, []);
  const { screen, query } = place.value;
  const found = SCREENS.find((each) => each.name === screen);
  useEffect(() => { document.title = `${found ? found.title : "Not found"} · Neocog Studio`; }, [screen]);
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>Skip to the content</a>
    ${!online.value && html`<div class="banner" role="alert">The Studio can't be reached. Is its terminal still open? This page continues as soon as it answers. If you start a new one, open the address that it prints.</div>`}
    <header class="bar"><span class="name"><img src="icon.svg" alt="" /> Neocog Studio</span>
      <nav aria-label="Screens">${SCREENS.map((each) => html`<a key=${each.name} href=${`#/${each.name}`} aria-current=${each.name === screen ? "page" : undefined}>${each.title}</a>`)}</nav>
      <${Menu} title="Open"><${Open} done=${(now) => { setOverview(now); setError(null); }} /></${Menu}>
      <select class="theme" aria-label="Theme" value=${theme.value} onChange=${(event) => setTheme(event.target.value)}>
        <option value="">System theme</option><option value="light">Light</option><option value="dark">Dark</option></select></header>
    <main id="main" tabindex="-1">${error && !overview ? html`<${Problem} error=${error} again=${load} />`
      : !overview ? html`<p class="quiet busy" role="status">Loading ...</p>`
      : !found ? html`<${Problem} error=${{ message: `There is no screen called ${screen}.` }} again=${() => go("bench")} />`
      : found.needsNetwork && !overview.networks.length ? html`<div class="panel"><h1>${found.title}</h1><p>This screen looks into a network. Open one, or start the Studio with it: <code>neocog studio model.neocog</code>.</p><${Open} done=${setOverview} /></div>`
      : html`<${Fence} key=${screen}><${found.view} overview=${overview} query=${query} go=${go} put=${put} /></${Fence}>`}</main>`;
}

const root = document.getElementById("app");
root.replaceChildren();
render(html`<${Shell} />`, root);
