// All screens, in the order of the bar. A screen is {name, title, view, needsNetwork}; `view` gets overview, query, go, put.
import { Anatomy } from "./anatomy.js";
import { Bench } from "./bench.js";
import { Filter } from "./filter.js";
import { ImageScreen } from "./image.js";
import { Lessons } from "./lessons.js";
import { Runs } from "./runs.js";

export const SCREENS = [
  { name: "bench", title: "Bench", view: Bench },
  { name: "anatomy", title: "Anatomy", view: Anatomy, needsNetwork: true },
  { name: "image", title: "Image", view: ImageScreen, needsNetwork: true },
  { name: "filter", title: "Filter", view: Filter, needsNetwork: true },
  { name: "runs", title: "Runs", view: Runs },
  { name: "lessons", title: "Lessons", view: Lessons },
];
