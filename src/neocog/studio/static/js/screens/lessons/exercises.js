// Exercises that the page checks: a number, a choice, or the state of Bench.
import { ask } from "../../api.js";
import { html, useState } from "../../lib.js";
import { progressOf, tickRight } from "./progress.js";
import { inline } from "./prose.js";

export function Exercises({ lesson, bench }) {
  return html`<ol class="exercises">${lesson.exercises.map((each, i) => html`<${Exercise} key=${i} exercise=${each} lesson=${lesson.number} number=${i} bench=${bench} />`)}</ol>`;
}

function Exercise({ exercise, lesson, number, bench }) {
  const [value, setValue] = useState(null);
  const [said, setSaid] = useState(null);
  const [tries, setTries] = useState(0);
  const [before] = useState(() => progressOf(lesson).right.includes(number));
  const send = async (reveal) => {
    try {
      const given = exercise.kind === "bench" ? bench : value;
      const found = await ask("/api/lessons/answer", { json: { lesson, exercise: number, value: reveal ? null : given, reveal } });
      setSaid(found);
      if (!reveal) setTries(tries + 1);
      if (found.right) tickRight(lesson, number);
    } catch (error) {
      setSaid({ error: error.message });
    }
  };
  const ready = exercise.kind === "bench" || (value !== null && value !== "");
  return html`<li><form onSubmit=${(event) => { event.preventDefault(); if (ready) send(false); }}>
    <p>${inline(exercise.ask)} ${before && html`<span class="tag">solved before</span>`}</p>
    ${exercise.kind === "number" && html`<label class="field"><span>Answer</span><input type="text" inputmode="decimal" autocomplete="off" onInput=${(event) => setValue(event.target.value)} /></label>`}
    ${exercise.kind === "choice" && html`<fieldset><legend class="hidden">Answers</legend>${exercise.choices.map((each, i) => html`<label key=${i} class="choice"><input type="radio" name=${`answer${number}`} checked=${value === i} onChange=${() => setValue(i)} /> <span>${inline(each)}</span></label>`)}</fieldset>`}
    ${exercise.kind === "bench" && html`<p class="small quiet">Use the Bench beside this text.</p>`}
    <div class="row"><button class="main" disabled=${!ready}>Check</button>${tries > 0 && !(said && (said.right || said.answer)) && html`<button type="button" onClick=${() => send(true)}>Show the answer</button>`}</div>
    <div role="status" class="verdict">${said && html`<${Verdict} said=${said} />`}</div></form></li>`;
}

function Verdict({ said }) {
  if (said.error) return html`<p class="bad">${said.error}</p>`;
  if (said.right) return html`<p class="good"><strong>Right.</strong></p><p>${inline(said.why)}</p>`;
  if (said.answer) return html`<p><strong>The answer: ${inline(said.answer)}.</strong> ${inline(said.why)}</p>`;
  return html`<p class="bad"><strong>Not yet.</strong> ${said.said}</p><p>Hint: ${inline(said.hint)}</p>`;
}
