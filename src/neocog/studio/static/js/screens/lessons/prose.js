// Texts of lessons: blank lines between paragraphs, indented lines as they are, `code`, *emphasis*.
import { html } from "../../lib.js";

export function Prose({ text }) {
  const blocks = text.trimEnd().split(/\n\s*\n/);
  return html`${blocks.map((block, i) => (block.startsWith("    ") ? html`<pre key=${i} tabindex="0">${block.replace(/^ {4}/gm, "")}</pre>` : html`<p key=${i}>${inline(block)}</p>`))}`;
}

// `2 * 3` is code and keeps its star; *word* outside of code is emphasised.
export function inline(text) {
  return text.split(/(`[^`]+`)/).map((part, i) => (part.startsWith("`") && part.length > 2 ? html`<code key=${i}>${part.slice(1, -1)}</code>`
    : part.split(/(\*[^*\s](?:[^*]*[^*\s])?\*)/).map((piece, j) => (piece.length > 2 && piece.startsWith("*") && piece.endsWith("*") ? html`<em key=${`${i}.${j}`}>${piece.slice(1, -1)}</em>` : piece))));
}
