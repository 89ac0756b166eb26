// The libraries that every file of the page uses, under short names.
import { h, render } from "../vendor/preact.js";
import { useCallback, useEffect, useErrorBoundary, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-hooks.js";
import htm from "../vendor/htm.js";
import { computed, effect, signal } from "../vendor/signals.js";

export const html = htm.bind(h);
export { computed, effect, h, render, signal, useCallback, useEffect, useErrorBoundary, useLayoutEffect, useMemo, useRef, useState };
