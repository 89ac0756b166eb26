// All screens, in the order of the bar. A screen is {name, title, view, needsNetwork}; `view` gets overview, query, go.
export const SCREENS = [];
