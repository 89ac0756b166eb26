// All screens, in the order of the bar. A screen is {name, title, view, needsNetwork}; `view` gets overview, query, go, put.
import { Bench } from "./bench.js";
import { Lessons } from "./lessons.js";
import { Runs } from "./runs.js";

export const SCREENS = [
  { name: "bench", title: "Bench", view: Bench },
  { name: "runs", title: "Runs", view: Runs },
  { name: "lessons", title: "Lessons", view: Lessons },
];
