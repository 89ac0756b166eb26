// Ask a Neocog server about files, from Node 18 or newer and from a browser, without dependencies.
//
//     neocog serve model.neocog
//     node client.mjs photo.jpg [MORE ...]
//
// NEOCOG_URL is the server's address, by default http://127.0.0.1:8000. If it asks for a key, set NEOCOG_API_KEY.
// In a browser, on a page that the same host serves (the server sends no CORS headers):
//
//     import { predict } from "./client.mjs";
//     input.onchange = async () => console.log(await predict(input.files[0], { url: "" }));

/** The answer about a File or Blob: class and probability, values, boxes, or a mask. Throws with the server's reason. */
export async function predict(file, { url = "http://127.0.0.1:8000", model = "", key = "", name = file.name } = {}) {
  const route = model ? `/models/${encodeURIComponent(model)}/predict` : "/predict";
  const form = new FormData();
  form.append("file", file, name ?? "file");
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  const answer = await fetch(url + route, { method: "POST", body: form, headers, signal: AbortSignal.timeout(60_000) });
  if (answer.ok) return answer.json();
  const body = await answer.text(); // 4xx and 5xx say why; 503 says in Retry-After when to try again
  let reason = body;
  try {
    reason = JSON.parse(body).error ?? body;
  } catch {
    // not from Neocog: a proxy between us and the server, perhaps
  }
  throw new Error(`${answer.status}: ${reason}`);
}

/** An answer in a line. */
export function shown(answer) {
  if ("class" in answer) return `${answer.class} (${(100 * answer.probability).toFixed(1)}%)`;
  if ("objects" in answer) {
    const found = answer.objects.map((one) => `${one.label} (${(100 * one.score).toFixed(1)}%) at [${one.box.join(", ")}]`);
    return found.join(", ") || "nothing";
  }
  const { model, version, name, mask, masks, classes, ...rest } = answer; // masks are PNG files in base64
  return JSON.stringify(rest);
}

async function main(paths) {
  const { readFile } = await import("node:fs/promises");
  const options = { url: process.env.NEOCOG_URL ?? "http://127.0.0.1:8000", key: process.env.NEOCOG_API_KEY ?? "" };
  for (const path of paths) {
    try {
      const answer = await predict(new Blob([await readFile(path)]), { ...options, name: path });
      console.log(`${path}: ${shown(answer)}`);
    } catch (error) {
      console.error(`${path}: ${error.cause?.message ?? error.message}`);
      process.exitCode = 1;
    }
  }
}

if (globalThis.process?.argv?.[1] && import.meta.url.endsWith(process.argv[1].split(/[\\/]/).pop())) {
  await main(process.argv.slice(2));
}
