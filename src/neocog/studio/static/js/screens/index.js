// All screens, in the order of the bar. A screen is {name, title, view, needsNetwork}; `view` gets overview, query, go.
import { Lessons } from "./lessons.js";
import { Runs } from "./runs.js";

export const SCREENS = [{ name: "runs", title: "Runs", view: Runs }, { name: "lessons", title: "Lessons", view: Lessons }];
