// What is chosen, and the orders that it makes.
import { $, value } from "./dom.js";

export const TINTS = ["#2f7de1", "#2e9e5b", "#9a4fd0", "#c99a12", "#12a5a5"];
export const FAST = 288;
export const REST = "rest";

export const chosen = {
  mode: "paint", photo: null, styles: [], weights: {}, preset: "default", start: "",
  extra: { paint: {}, texture: {}, dream: {} },
  subject: "auto", subjectMask: null, regions: [], presets: [], quickNames: new Set(), shelf: [], mp4: true,
};
export const ready = () => Boolean((chosen.photo || chosen.mode === "texture") && (chosen.styles.length || chosen.mode === "dream"));
export const styleOf = (id) => chosen.shelf.find((one) => one.id === id);

export const color = () => document.querySelector("input[name=color]:checked").value;
const wrap = () => document.querySelector("input[name=wrap]:checked").value;
export const scale = () => Number((2 ** value("scale")).toFixed(3));
export const size = () => ($("size").value === "none" ? null : Number($("size").value));

export function masks() {
  const found = {};
  if (chosen.subjectMask) found.subject = [chosen.subjectMask.id];
  if (chosen.regions.length) found.regions = [...chosen.regions.map((one) => one.mask.id), REST];
  return found;
}

export function styles() {
  const list = [...chosen.styles];
  for (const region of chosen.regions) if (!list.includes(region.style)) list.push(region.style);
  return list;
}

export function shared() {
  const told = { protect: value("protect"), color: color() };
  if (chosen.subject === "off") told.subject = "off";
  const list = styles(), blended = chosen.styles.length > 1;
  if (blended && !chosen.regions.length) told.blend = list.map((one) => chosen.weights[one] ?? 1);
  if (chosen.regions.length) {
    const all = chosen.styles.map((_, k) => k + 1).join("+");
    told.region_styles = [...chosen.regions.map((one) => String(list.indexOf(one.style) + 1)), all];
  }
  return told;
}

// The order of what is made in this mode; what it takes is asked by another kind.
export function making(kind = chosen.mode) {
  return { paint: painting, texture, dream }[chosen.mode](kind);
}

function painting(kind) {
  const told = { ...chosen.extra.paint, ...shared(), strength: value("strength"), size: size(), quality: $("quality").value };
  if (scale() !== 1) told.style_scale = [scale()];
  return { kind, content: chosen.photo.id, styles: styles(), settings: told, masks: masks(), preset: chosen.preset, start: chosen.start };
}

function texture(kind) {
  const told = { ...chosen.extra.texture, size: size(), quality: $("quality").value, wrap: wrap(), aspect: value("aspect") };
  if (scale() !== 1) told.style_scale = [scale()];
  if (chosen.styles.length > 1) told.blend = chosen.styles.map((one) => chosen.weights[one] ?? 1);
  return { kind, styles: chosen.styles, settings: told, start: chosen.start };
}

function dream(kind) {
  return { kind, content: chosen.photo.id, settings: { ...chosen.extra.dream, size: size() } };
}

export function draft(long) {
  // A painting's strength is a limit on the photo's change; a draft's, a mixture of statistics.
  const told = { ...shared(), strength: Number((value("strength") ** 0.35).toFixed(3)), size: long };
  if (scale() !== 1) told.style_scale = scale();
  if (long === FAST) told.quality = "draft";
  for (const [name, given] of Object.entries(chosen.extra.paint)) if (chosen.quickNames.has(name)) told[name] = given;
  delete told.precision;
  return { kind: "quick", content: chosen.photo.id, styles: styles(), settings: told, masks: masks(), screen: true, keep: false };
}
