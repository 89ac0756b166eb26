// All screens, in the order of the bar. A screen is {name, title, view, needsNetwork}; `view` gets overview, query, go, put.
import { Bench } from "./bench.js";

export const SCREENS = [{ name: "bench", title: "Bench", view: Bench }];
