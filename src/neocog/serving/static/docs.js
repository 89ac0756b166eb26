"use strict";

const find = (id) => document.getElementById(id);
const GOLDEN = 0.6180339887;
const models = new Map();
let sample = null;

function make(tag, text = "", name = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (name) element.className = name;
  return element;
}

function headers() {
  const key = find("key").value;
  return key ? { Authorization: `Bearer ${key}` } : {};
}

async function ask(path, options = {}) {
  const response = await fetch(path, { ...options, headers: { ...headers(), ...(options.headers || {}) } });
  const answer = await response.json().catch(() => ({ error: `The server answered ${response.status}.` }));
  if (response.status === 401) find("key-field").hidden = false;
  if (!response.ok) throw new Error(answer.error || `The server answered ${response.status}.`);
  return answer;
}

function say(text, bad = false) {
  find("status").textContent = text;
  find("status").classList.toggle("bad", bad);
}

function colourOf(index) {
  if (index === 0) return "rgb(0 0 0)";
  const k = index - 1;
  const [lightness, saturation] = k % 2 === 0 ? [55, 73] : [68, 90];
  return `hsl(${((k * GOLDEN) % 1) * 360} ${saturation}% ${lightness}%)`;
}

/* Models and operations. */

async function showModels() {
  const rows = await ask("v2/repository/index", { method: "POST" });
  const names = [...new Set(rows.map((row) => row.name))];
  find("models").replaceChildren();
  find("model").replaceChildren();
  for (const name of names) {
    const about = await ask(`v2/models/${encodeURIComponent(name)}`);
    models.set(name, about);
    find("model").append(new Option(name, name));
    const classes = about.parameters.classes;
    const shown = classes.slice(0, 12).join(", ") + (classes.length > 12 ? ` and ${classes.length - 12} more` : "");
    const row = make("tr");
    const tensor = (one) => `${one.name} ${one.datatype} [${one.shape}]`;
    const cells = [name, about.versions.join(", "), about.parameters.task, about.inputs.map(tensor).join(", "),
      about.outputs.map(tensor).join(", "), shown];
    for (const text of cells) row.append(make("td", text));
    find("models").append(row);
  }
  find("about").textContent = `${names.length} ${names.length === 1 ? "model" : "models"} over HTTP.`;
  chooseModel();
}

function chooseModel() {
  const about = models.get(find("model").value);
  find("text-field").hidden = !about || !["text", "board"].includes(about.parameters.modality);
}

function curlOf(method, path, operation) {
  const name = models.keys().next().value || "NAME";
  const about = models.get(name);
  const address = location.origin + path.replace("{name}", name).replace("{version}", about ? about.versions.at(-1) : "1");
  if (method === "get") return `curl ${address}`;
  if (path.endsWith("/infer") && about) return inferExample(address, about);
  if (operation.requestBody && operation.requestBody.required) {
    return [
      `curl --data-binary @FILE ${address}`,
      `curl -F file=@FILE ${address}`,
      `curl -H 'Content-Type: application/json' -d '{"file": "BASE64"}' ${address}`,
    ].join("\n");
  }
  return `curl -X POST ${address}`;
}

function inferExample(address, about) {
  const input = about.inputs[0];
  const text = input.datatype === "BYTES";
  const shape = input.shape.map((size, axis) => (axis === 0 ? 1 : size === -1 ? "SIZE" : size));
  const body = `{"inputs": [{"name": "${input.name}", "datatype": "${input.datatype}", "shape": [${shape.join(", ")}], `
    + `"data": [${text ? '"TEXT"' : "VALUE, ..."}]}]}`;
  return `curl -H 'Content-Type: application/json' -d '${body}' ${address}`;
}

async function showOperations() {
  const documentation = await ask("openapi.json");
  if (documentation.components.securitySchemes) find("key-field").hidden = false;
  find("explain").hidden = !documentation.paths["/explain"];
  find("operations").replaceChildren();
  for (const [path, methods] of Object.entries(documentation.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const details = make("details");
      const summary = make("summary");
      summary.append(make("span", method.toUpperCase(), "method"), make("code", path), make("span", ` ${operation.summary || ""}`, "soft"));
      details.append(summary);
      if (operation.description) details.append(make("p", operation.description));
      for (const parameter of operation.parameters || []) {
        if (parameter.in === "query") details.append(make("p", `?${parameter.name}= ${parameter.description || ""}`));
      }
      const types = Object.keys((operation.requestBody || {}).content || {});
      if (types.length) details.append(make("p", `Takes ${types.join(", ")}.`));
      const curl = make("pre", curlOf(method, path, operation));
      curl.tabIndex = 0;
      details.append(curl);
      find("operations").append(details);
    }
  }
}

/* A file and its answer. */

function takeFile(file) {
  sample = file;
  find("drop-text").textContent = file ? file.name : "Drop a file here, or choose one";
}

function body() {
  const text = find("text").value;
  if (!find("text-field").hidden && text) {
    return { body: JSON.stringify({ text }), headers: { "Content-Type": "application/json" } };
  }
  if (!sample) throw new Error("Choose a file first.");
  return { body: sample, headers: { "Content-Type": sample.type || "application/octet-stream" } };
}

async function run(verb) {
  const name = find("model").value;
  say("Computing ...");
  find("predict").disabled = find("explain").disabled = true;
  try {
    const started = performance.now();
    const answer = await ask(`models/${encodeURIComponent(name)}/${verb}`, { method: "POST", ...body() });
    say(`${name}, ${(performance.now() - started).toFixed(0)} ms.${answer.unusual ? " This input is unlike the training data." : ""}`);
    await showAnswer(answer);
  } catch (error) {
    say(error.message, true);
    find("answer").hidden = true;
  } finally {
    find("predict").disabled = find("explain").disabled = false;
  }
}

async function showAnswer(answer) {
  find("answer").hidden = false;
  find("bars").replaceChildren();
  find("map").hidden = !answer.png;
  if (answer.png) {
    find("map").src = `data:image/png;base64,${answer.png}`;
    find("map").alt = `Heat map for ${answer.target}`;
  }
  await drawPicture(answer);
  const found = answer.prediction || answer;
  for (const row of found.top || []) addBar(row.class, row.probability);
  Object.entries(found.shares || {}).forEach(([name, share]) => addBar(name, share, (answer.classes || []).indexOf(name)));
  if (!found.top && !found.shares && !found.objects) addValues(found);
  if (found.objects) find("bars").append(make("p", `${found.count} found.`));
  const short = JSON.stringify(answer, (key, value) => (typeof value === "string" && value.length > 200 ? `${value.slice(0, 60)}...` : value), 1);
  find("json").textContent = short;
}

function addBar(name, share, index = -1) {
  const bar = make("div", "", "bar");
  const label = make("span");
  if (index >= 0) {
    const swatch = make("span", "", "swatch");
    swatch.style.background = colourOf(index);
    label.append(swatch);
  }
  label.append(name);
  const meter = make("meter");
  meter.value = share;
  meter.setAttribute("aria-label", name);
  bar.append(label, meter, make("span", `${(100 * share).toFixed(2)} %`, "number"));
  find("bars").append(bar);
}

function addValues(found) {
  for (const [name, value] of Object.entries(found)) {
    if (typeof value === "number") find("bars").append(make("p", `${name}: ${value.toPrecision(5)}`));
  }
}

async function drawPicture(answer) {
  const canvas = find("picture");
  canvas.hidden = true;
  if (!sample || answer.png || !find("text-field").hidden) return;
  const image = await createImageBitmap(sample).catch(() => null);
  if (!image) return;
  canvas.hidden = false;
  canvas.width = image.width;
  canvas.height = image.height;
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  for (const mask of answer.mask ? [answer.mask] : Object.values(answer.masks || {})) await drawMask(context, mask);
  const labels = [...new Set((answer.objects || []).map((one) => one.label))];
  for (const one of answer.objects || []) drawBox(context, one, colourOf(1 + labels.indexOf(one.label)), answer.objects.length <= 30);
}

async function drawMask(context, png) {
  const bytes = Uint8Array.from(atob(png), (character) => character.charCodeAt(0));
  const mask = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const layer = new OffscreenCanvas(context.canvas.width, context.canvas.height);
  const over = layer.getContext("2d");
  over.imageSmoothingEnabled = false;
  over.drawImage(mask, 0, 0, layer.width, layer.height);
  const pixels = over.getImageData(0, 0, layer.width, layer.height);
  for (let i = 0; i < pixels.data.length; i += 4) {
    const black = !pixels.data[i] && !pixels.data[i + 1] && !pixels.data[i + 2];
    pixels.data[i + 3] = black ? 0 : 140;
  }
  over.putImageData(pixels, 0, 0);
  context.drawImage(layer, 0, 0);
}

function drawBox(context, one, colour, named) {
  const [left, top, right, bottom] = one.box;
  context.lineWidth = Math.max(1, context.canvas.width / 400);
  context.strokeStyle = colour;
  context.strokeRect(left, top, right - left, bottom - top);
  if (!named) return;
  context.font = `${Math.max(10, context.canvas.width / 50)}px sans-serif`;
  context.fillStyle = colour;
  context.fillText(`${one.label} ${one.score.toFixed(2)}`, left, Math.max(10, top - 3));
}

/* Wiring. */

find("file").addEventListener("change", () => takeFile(find("file").files[0]));
find("model").addEventListener("change", chooseModel);
find("try").addEventListener("submit", (event) => { event.preventDefault(); run("predict"); });
find("explain").addEventListener("click", () => run("explain"));
for (const kind of ["dragenter", "dragover"]) {
  find("drop").addEventListener(kind, (event) => { event.preventDefault(); find("drop").classList.add("over"); });
}
find("drop").addEventListener("dragleave", () => find("drop").classList.remove("over"));
find("drop").addEventListener("drop", (event) => {
  event.preventDefault();
  find("drop").classList.remove("over");
  takeFile(event.dataTransfer.files[0]);
});

async function start() {
  try {
    await showModels();
    await showOperations();
  } catch (error) {
    say(error.message, true);
  }
}
find("key").addEventListener("change", start);
start();
