// What a step claims: the sentence, the line of Python that computes it, and the engine's answer when asked.
import { ask } from "../../api.js";
import { html, useState } from "../../lib.js";
import { inline } from "./prose.js";

export function Claims({ lesson, step, claims }) {
  if (!claims.length) return null;
  return html`<section class="claims" aria-label="Computed by Neocog"><h3>Computed by Neocog</h3><ul>${claims.map((claim, i) => html`<${Claim} key=${i} claim=${claim} query=${{ lesson, step, claim: i }} />`)}</ul></section>`;
}

function Claim({ claim, query }) {
  const [found, setFound] = useState(null);
  const compute = () => ask("/api/lessons/claim", { query }).then(setFound, (error) => setFound({ error: error.message }));
  return html`<li><span>${inline(claim.say)}</span> <details><summary>How</summary><pre tabindex="0">${claim.code}</pre>
    <p class="row"><button onClick=${compute}>Compute it now</button> <span role="status" class=${found && found.holds === false ? "bad" : "good"}>${found && (found.error || html`<span class="number">${words(found.value)}</span>${found.holds ? " – as stated" : " – not as stated"}`)}</span></p></details></li>`;
}

const words = (value) => (Array.isArray(value) ? `[${value.map(words).join(", ")}]` : typeof value === "number" && !Number.isInteger(value) ? String(Number(value.toPrecision(6))) : typeof value === "number" ? value.toLocaleString("en") : String(value));
