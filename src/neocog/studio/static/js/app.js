// The shell: the bar, the screen that the address names, and what is said when the server is gone.
import { ask, online } from "./api.js";
import { Problem } from "./parts.js";
import { html, render, signal, useEffect, useState } from "./lib.js";
import { SCREENS } from "./screens/index.js";

// #/image?network=a -> {screen: "image", query: {network: "a"}}
export const place = signal(read());
function read() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { screen: path || "bench", query: Object.fromEntries(new URLSearchParams(query || "")) };
}
addEventListener("hashchange", () => { place.value = read(); });

// Go to a screen with what it should show.
export function go(screen, query = {}) {
  const given = Object.fromEntries(Object.entries(query).filter(([, v]) => v !== undefined && v !== null && v !== ""));
  location.hash = `#/${screen}${Object.keys(given).length ? `?${new URLSearchParams(given)}` : ""}`;
}
globalThis.neocogGo = go; // for tests and lessons

const theme = signal(localStorage.getItem("theme") || "");
function setTheme(value) {
  theme.value = value;
  localStorage.setItem("theme", value);
  value ? (document.documentElement.dataset.theme = value) : delete document.documentElement.dataset.theme;
}
setTheme(theme.value);

// The token has done its work once the cookie is there; it should not stay in the history.
if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname + location.hash);

function Shell() {
  const [overview, setOverview] = useState(null);
  const [error, setError] = useState(null);
  const load = () => ask("/api/overview").then((found) => { setOverview(found); setError(null); }, setError);
  useEffect(() => {
    load();
    addEventListener("neocog-back", load);
    return () => removeEventListener("neocog-back", load);
  }, []);
  const { screen, query } = place.value;
  const found = SCREENS.find((each) => each.name === screen);
  useEffect(() => { document.title = `${found ? found.title : "Not found"} · Neocog Studio`; }, [screen]);
  return html`<a class="skip" href="#main" onClick=${(event) => { event.preventDefault(); document.getElementById("main").focus(); }}>Skip to the content</a>
    ${!online.value && html`<div class="banner" role="alert">The Studio can't be reached. If its terminal was closed, start it again: <code>neocog studio</code>. This page continues by itself.</div>`}
    <header class="bar"><span class="name"><img src="icon.svg" alt="" /> Neocog Studio</span>
      <nav aria-label="Screens">${SCREENS.map((each) => html`<a key=${each.name} href=${`#/${each.name}`} aria-current=${each.name === screen ? "page" : undefined}>${each.title}</a>`)}</nav>
      <label class="small">Theme <select aria-label="Theme" value=${theme.value} onChange=${(event) => setTheme(event.target.value)}>
        <option value="">System</option><option value="light">Light</option><option value="dark">Dark</option></select></label></header>
    <main id="main" tabindex="-1">${error ? html`<${Problem} error=${error} again=${load} />`
      : !overview ? html`<p class="quiet busy" role="status">Loading ...</p>`
      : !found ? html`<${Problem} error=${{ message: `There is no screen called ${screen}.` }} again=${() => go("bench")} />`
      : found.needsNetwork && !overview.networks.length ? html`<div class="panel"><h1>${found.title}</h1><p>This screen looks into a network. Start the Studio with one: <code>neocog studio model.neocog</code>, or with a run: <code>neocog studio runs/NAME</code>.</p></div>`
      : html`<${found.view} key=${screen} overview=${overview} query=${query} go=${go} />`}</main>`;
}

render(html`<${Shell} />`, document.getElementById("app"));
