// How far the reader is, in this browser.
const KEY = "neocog-lessons";

function read() {
  try {
    const found = JSON.parse(localStorage.getItem(KEY));
    return found && typeof found === "object" ? found : {};
  } catch {
    return {};
  }
}

export function progressOf(lesson) {
  const { steps, right } = read()[lesson] || {};
  return { steps: Array.isArray(steps) ? steps : [], right: Array.isArray(right) ? right : [] };
}

function add(lesson, part, number) {
  const all = read(), mine = progressOf(lesson);
  if (!mine[part].includes(number)) mine[part].push(number);
  try {
    localStorage.setItem(KEY, JSON.stringify({ ...all, [lesson]: mine }));
  } catch {
    // no room, or not allowed: the lesson goes on without it
  }
}

export const tickStep = (lesson, step) => add(lesson, "steps", step);
export const tickRight = (lesson, exercise) => add(lesson, "right", exercise);
