// Ten lessons: a text with claims that the engine computes, the screen that it speaks of beside it, and exercises.
import { ask, useAnswer } from "../api.js";
import { html, useEffect, useRef, useState } from "../lib.js";
import { NumberGrid, Waits } from "../parts.js";
import { Beside, addressOf } from "./lessons/beside.js";
import { Claims } from "./lessons/claims.js";
import { Exercises } from "./lessons/exercises.js";
import { Prose, inline } from "./lessons/prose.js";
import { progressOf, tickStep } from "./lessons/progress.js";

export function Lessons({ overview, query, go }) {
  const number = Number(query.lesson) || 0;
  if (!number) return html`<${Contents} go=${go} />`;
  return html`<${Lesson} key=${number} number=${number} at=${Math.max(1, Number(query.step) || 1)} overview=${overview} go=${go} />`;
}

function Contents({ go }) {
  const answer = useAnswer((signal) => ask("/api/lessons", { signal }), []);
  return html`<div class="lessons"><div class="head"><h1>Lessons</h1></div>
    <p>Ten guided tours, which together are a course on convolutional networks. Each has a text, a screen of the Studio beside it, and exercises. Nothing has to be open: networks and images are brought along. Every number is computed by Neocog, and a button shows how.</p>
    <${Waits} answer=${answer}>${({ lessons }) => html`<ol class="contents">${lessons.map((lesson) => {
      const done = progressOf(lesson.number), steps = done.steps.length, right = done.right.length;
      return html`<li key=${lesson.number} class="panel"><h2>${lesson.number}. <a href=${`#/lessons?lesson=${lesson.number}`}>${lesson.title}</a></h2>
        <p class="small quiet">About ${lesson.minutes} minutes · ${steps} of ${lesson.steps} steps read · ${right} of ${lesson.exercises} exercises solved</p>
        <progress max=${lesson.steps + lesson.exercises} value=${Math.min(steps, lesson.steps) + Math.min(right, lesson.exercises)} aria-label=${`Progress of lesson ${lesson.number}`} />
        <ul class="small">${lesson.able.map((each, i) => html`<li key=${i}>${each}</li>`)}</ul></li>`;
    })}</ol>`}</${Waits}></div>`;
}

function Lesson({ number, at, overview, go }) {
  const answer = useAnswer((signal) => ask("/api/lessons/lesson", { query: { number }, signal }), [number]);
  return html`<div class="lessons"><${Waits} answer=${answer}>${(lesson) => html`<${Tour} lesson=${lesson} at=${Math.min(at, lesson.steps.length + 1)} overview=${overview} go=${go} />`}</${Waits}></div>`;
}

function Tour({ lesson, at, overview, go }) {
  const [bench, setBench] = useState({});
  const heading = useRef(), first = useRef(true);
  const last = at > lesson.steps.length, step = last ? null : lesson.steps[at - 1];
  const shown = last ? (lesson.exercises.find((each) => each.show) || { show: null }).show : step.show;
  const to = (next) => go("lessons", { lesson: lesson.number, step: next });
  useEffect(() => {
    if (!last) tickStep(lesson.number, at);
    if (!first.current && heading.current) { heading.current.focus(); scrollTo({ top: 0 }); }
    first.current = false;
  }, [at]);
  return html`<div class="head"><h1><a href="#/lessons">Lessons</a> · ${lesson.number}. ${lesson.title}</h1></div>
    <nav class="steps row" aria-label="Steps">${[...lesson.steps, { title: "Exercises" }].map((each, i) => html`<a key=${i} href=${`#/lessons?lesson=${lesson.number}&step=${i + 1}`} aria-current=${i + 1 === at ? "step" : undefined} title=${each.title} aria-label=${`${i + 1}: ${each.title}`}>${i < lesson.steps.length ? i + 1 : "Exercises"}</a>`)}</nav>
    <div class=${shown ? "tour" : "tour alone"}><article class="panel text">
      ${at === 1 && html`<details open class="able"><summary>After this lesson you can</summary><ul>${lesson.able.map((each, i) => html`<li key=${i}>${each}</li>`)}</ul></details>`}
      <h2 ref=${heading} tabindex="-1">${last ? "Exercises" : step.title}</h2>
      ${last ? html`<${Exercises} lesson=${lesson} bench=${bench} />` : html`<${StepText} lesson=${lesson} step=${step} at=${at} />`}
      <div class="row turn">${at > 1 && html`<button onClick=${() => to(at - 1)}>Back</button>`}
        ${!last && html`<button class="main" onClick=${() => to(at + 1)}>${at === lesson.steps.length ? "Exercises" : "Next"}</button>`}
        ${last && lesson.next && html`<button class="main" onClick=${() => go("lessons", { lesson: lesson.next })}>Next lesson</button>`}
        ${last && html`<button onClick=${() => go("lessons")}>All lessons</button>`}
        <span class="small quiet">${last ? "" : `Step ${at} of ${lesson.steps.length}`}</span></div>
      ${last && lesson.reading.length > 0 && html`<h3>To read on</h3><ul class="small">${lesson.reading.map((each, i) => html`<li key=${i}>${each}</li>`)}</ul>`}
    </article>
    ${shown && html`<${Beside} key=${addressOf(shown)} show=${shown} overview=${overview} practice=${last} onBench=${setBench} />`}</div>`;
}

function StepText({ lesson, step, at }) {
  const grids = Object.entries(step.grids);
  return html`<${Prose} text=${step.text} />
    ${grids.length > 0 && html`<div class="row grids">${grids.map(([name, rows]) => html`<figure key=${name}><div class="scroll"><${NumberGrid} title=${name} values=${rows.flat()} shape=${[rows.length, rows[0].length]} /></div><figcaption>${name}</figcaption></figure>`)}</div>`}
    ${step.look && html`<p class="look"><strong>Look:</strong> ${inline(step.look)}</p>`}
    <${Claims} key=${`${lesson.number}.${at}`} lesson=${lesson.number} step=${at - 1} claims=${step.claims} />`;
}
