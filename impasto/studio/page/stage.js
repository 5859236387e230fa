// The picture: before and after under a slider or side by side, zoom and pan, and where a pointer is on it.
import { $, tell } from "./dom.js";

const stage = $("stage"), canvas = $("canvas"), divider = $("divider");
const before = $("before"), after = $("after"), beside = $("after-beside");
const GAP = 6; // pixels between two panes

const view = { width: 1, height: 1, zoom: 0, x: 0, y: 0, split: 0.5, mode: "compare", beside: false };
let painter = null; // takes the pointer while a mask is brushed
const pointers = new Map();
let pinch = null;

export const box = () => view.box;

// Shows pictures of this size, or of the second one's own; the one before stays until the other is decoded.
export async function show({ first, second, width, height, tags = [] }) {
  await Promise.all([swap(before, first), swap(after, second), swap(beside, second)]);
  if (!width) await after.decode().catch(() => {});
  const { naturalWidth, naturalHeight } = after;
  Object.assign(view, width && height ? { width, height } : { width: naturalWidth || 1, height: naturalHeight || 1 });
  stage.style.setProperty("--aspect", String(view.width / view.height));
  $("tag-before").textContent = tags[0] ?? "Photo";
  $("tag-after").textContent = tags[1] ?? "Painting";
  stage.classList.remove("empty");
  $("welcome").hidden = true;
  canvas.hidden = false;
  layout();
}

async function swap(image, source) {
  if (!source || image.dataset.source === source) return;
  image.dataset.source = source;
  const next = new Image();
  next.src = source;
  try { await next.decode(); } catch { return; }
  if (image.dataset.source === source) image.src = source;
}

export function setMode(name) {
  view.mode = name;
  layout();
}

// Two panes in place of the slider.
export function setBeside(on) {
  view.beside = on;
  layout();
}
export const isBeside = () => view.beside;

export function zoomTo(full) {
  view.x = view.y = 0;
  setZoom(full ? 1 : 0);
}
export const isZoomed = () => view.zoom > 0;

// Moves the picture by so many pixels.
export function pan(x, y) {
  view.x += x;
  view.y += y;
  layout();
}

function setZoom(zoom) {
  const changed = zoom > 0 !== isZoomed();
  view.zoom = zoom;
  layout();
  if (!changed) return;
  $("zoom-fit").setAttribute("aria-pressed", String(!isZoomed()));
  $("zoom-full").setAttribute("aria-pressed", String(isZoomed()));
  tell("zoomed");
}

// While there is a painter, strokes go to it: { begin(x, y), move(x, y), end() }, in shares of the picture.
export function setPainter(found) {
  painter = found;
  stage.style.cursor = found ? "none" : "";
  $("cursor").hidden = true; // until the pointer is on the picture
  layout();
}
export function setCursor(size) {
  $("cursor").style.width = $("cursor").style.height = `${size * (view.box?.width ?? 1)}px`;
}

export function layout() {
  const whole = stage.getBoundingClientRect();
  if (!whole.width || canvas.hidden) return;
  const comparing = view.mode === "compare" && !painter, two = comparing && view.beside;
  stage.classList.toggle("beside", two);
  const room = two ? halfOf(whole) : whole;
  stage.dataset.panes = room.panes ?? "one";
  const margin = whole.width < 600 ? 0 : two ? 10 : 18;
  const fit = fitOf(room, margin);
  const scale = view.zoom ? Math.max(fit, view.zoom / (window.devicePixelRatio || 1)) : fit;
  const width = view.width * scale, height = view.height * scale;
  const most = { x: Math.max(0, (width - room.width) / 2 + margin), y: Math.max(0, (height - room.height) / 2 + margin) };
  view.x = Math.min(most.x, Math.max(-most.x, view.x));
  view.y = Math.min(most.y, Math.max(-most.y, view.y));
  const left = (room.width - width) / 2 + view.x, top = (room.height - height) / 2 + view.y;
  view.box = { left, top, width, height };
  for (const one of [canvas, $("canvas-beside")]) {
    Object.assign(one.style, { left: `${left}px`, top: `${top}px`, width: `${width}px`, height: `${height}px` });
  }
  const low = Math.max(0, left) + 1, high = Math.min(room.width, left + width) - 1;
  const at = Math.min(high, Math.max(low, left + view.split * width));
  const share = two || view.mode === "photo" || painter ? 1 : comparing ? (at - left) / width : 0;
  before.style.clipPath = `inset(0 ${(1 - share) * 100}% 0 0)`;
  before.style.visibility = share > 0 ? "visible" : "hidden";
  after.style.visibility = share < 1 ? "visible" : "hidden";
  stage.classList.toggle("apart", comparing && areApart());
  $("pane-beside").hidden = !two;
  divider.hidden = !comparing || two;
  divider.style.left = `${at}px`;
  divider.setAttribute("aria-valuenow", String(Math.round(view.split * 100)));
  divider.setAttribute("aria-valuetext", `${Math.round(view.split * 100)} % ${$("tag-before").textContent}`);
  $("tag-before").hidden = !(comparing || view.mode === "photo");
  $("tag-after").hidden = !(comparing || view.mode === "result") || Boolean(painter);
}

// One of two panes, across or stacked: whichever shows the pictures larger.
function halfOf(whole) {
  const across = { width: (whole.width - GAP) / 2, height: whole.height, panes: "across" };
  const stacked = { width: whole.width, height: (whole.height - GAP) / 2, panes: "stacked" };
  return fitOf(stacked, 0) > fitOf(across, 0) ? stacked : across;
}
function fitOf(room, margin) {
  return Math.min((room.width - 2 * margin) / view.width, (room.height - 2 * margin) / view.height);
}

// Whether the two pictures have not the same shape, and would be distorted to cover each other.
function areApart() {
  const [a, b] = [before, after].map((image) => image.naturalWidth / image.naturalHeight);
  return Math.abs(a / b - 1) > 0.02;
}

function place(event) {
  const room = stage.getBoundingClientRect();
  return { x: event.clientX - room.left, y: event.clientY - room.top };
}
function share(at) {
  return [(at.x - view.box.left) / view.box.width, (at.y - view.box.top) / view.box.height];
}

let dragging = null;
stage.addEventListener("pointerdown", (event) => {
  if (canvas.hidden || event.button > 0) return;
  stage.setPointerCapture(event.pointerId);
  const at = place(event);
  pointers.set(event.pointerId, at);
  if (pointers.size === 2) {
    if (painter) painter.end();
    dragging = null;
    pinch = { start: distance(), zoom: view.zoom || 0.999 };
  } else if (painter) {
    dragging = "paint";
    painter.begin(...share(at));
  } else if (!view.beside && view.mode === "compare" && (event.target.closest("#divider") || !view.zoom)) {
    dragging = "split";
    split(at.x);
  } else dragging = "pan";
});
stage.addEventListener("pointermove", (event) => {
  const at = place(event), last = pointers.get(event.pointerId);
  if (painter) {
    $("cursor").hidden = false;
    Object.assign($("cursor").style, { left: `${at.x}px`, top: `${at.y}px` });
  }
  if (!last) return;
  pointers.set(event.pointerId, at);
  if (pinch && pointers.size === 2) {
    const zoom = pinch.zoom * distance() / pinch.start;
    return setZoom(zoom > 1 ? Math.min(8, zoom) : 0);
  }
  if (dragging === "split") split(at.x);
  else if (dragging === "paint") painter.move(...share(at));
  else if (dragging === "pan") pan(at.x - last.x, at.y - last.y);
});
for (const kind of ["pointerup", "pointercancel"]) {
  stage.addEventListener(kind, (event) => {
    pointers.delete(event.pointerId);
    if (pointers.size < 2) pinch = null;
    if (dragging === "paint" && painter) painter.end();
    dragging = null;
  });
}
stage.addEventListener("dblclick", () => { if (!painter && !canvas.hidden) zoomTo(!isZoomed()); });

function distance() {
  const [a, b] = [...pointers.values()];
  return Math.hypot(a.x - b.x, a.y - b.y);
}
function split(x) {
  view.split = Math.min(1, Math.max(0, (x - view.box.left) / view.box.width));
  layout();
}
divider.addEventListener("keydown", (event) => {
  const steps = { ArrowLeft: -0.02, ArrowRight: 0.02, PageDown: -0.1, PageUp: 0.1, Home: -1, End: 1 };
  if (!(event.key in steps)) return;
  event.preventDefault();
  view.split = Math.min(1, Math.max(0, view.split + steps[event.key]));
  layout();
});
new ResizeObserver(layout).observe(stage);
for (const image of [before, after]) image.addEventListener("load", layout);
