// The controls beside the picture.
import { ask, sentence } from "./api.js";
import { REST, TINTS, chosen, scale } from "./chosen.js";
import { $, fill, make, value } from "./dom.js";
import { showProtect, showRegions, showSubject } from "./masks.js";
import { setMode } from "./modes.js";
import { forecastSoon, touch } from "./preview.js";
import * as settings from "./settings.js";
import { showWeights } from "./shelf.js";
import { setView } from "./shown.js";
import * as stage from "./stage.js";

export function showValues() {
  $("strength-out").value = value("strength").toFixed(2);
  showProtect();
  $("scale-out").value = `× ${scale().toFixed(2)}`;
  for (const input of document.querySelectorAll("input[type=range]")) fill(input);
}
for (const id of ["strength", "protect", "scale"]) {
  $(id).addEventListener("input", () => { showValues(); touch(); });
}
for (const input of document.querySelectorAll("input[name=color]")) input.addEventListener("change", () => touch());
for (const input of document.querySelectorAll("input[name=wrap]")) input.addEventListener("change", () => touch());
for (const id of ["size", "quality", "aspect"]) $(id).addEventListener("change", forecastSoon);
for (const input of document.querySelectorAll("input[name=view]")) input.addEventListener("change", () => setView(input.value));
$("zoom-fit").addEventListener("click", () => stage.zoomTo(false));
$("zoom-full").addEventListener("click", () => stage.zoomTo(!stage.isZoomed()));

export const EXAMPLES = { default: "impasto", oil: "impasto", sketch: "hatching", mosaic: "mosaic" };
export function showPresets() {
  $("presets").replaceChildren(...chosen.presets.map((preset) => {
    const input = make("input", { type: "radio", name: "preset", value: preset.name, checked: preset.name === chosen.preset });
    input.addEventListener("change", () => { chosen.preset = preset.name; forecastSoon(); });
    const picture = make("img", { src: `/page/preset-${preset.name}.webp`, alt: "" });
    return make("label", { title: preset.good_for }, [input, picture, make("span", { textContent: sentence(preset.name) })]);
  }));
}
// The controls as they were for a job.
export async function useSettings(job) {
  const recipe = job.recipe, told = { ...recipe.settings };
  const mode = recipe.kind === "quick" ? "paint" : recipe.kind;
  if (recipe.content) showPhoto(await ask(`/v1/pictures/${recipe.content}`));
  if (mode !== "dream") await useStyles(recipe);
  if (mode === "paint") {
    const mask = recipe.masks.subject?.[0];
    chosen.subjectMask = mask ? await ask(`/v1/pictures/${mask}`) : null;
    chosen.subject = mask ? "mask" : told.subject ?? "auto";
    chosen.preset = recipe.preset;
    $("strength").value = told.strength ?? $("strength").defaultValue;
    $("protect").value = told.protect ?? $("protect").defaultValue;
    check("color", told.color ?? "style");
    check("preset", chosen.preset);
  }
  if (mode === "texture") {
    check("wrap", told.wrap ?? "off");
    $("aspect").value = told.aspect ?? 1;
  }
  $("scale").value = Math.log2([told.style_scale ?? 1].flat()[0]);
  $("size").value = told.size === null ? "none" : told.size ?? 512;
  $("quality").value = told.quality ?? "standard";
  chosen.extra[mode] = Object.fromEntries(Object.entries(told).filter(([name]) => !settings.OWN[mode].includes(name)));
  await setMode(mode);
  showWeights(); showSubject(); showRegions(); showValues(); forecastSoon();
}

async function useStyles(recipe) {
  const told = recipe.settings, regions = recipe.masks.regions;
  const count = regions ? new Set((told.region_styles?.at(-1) ?? "1").split("+").map(Number)).size : recipe.styles.length;
  chosen.styles = recipe.styles.slice(0, count);
  $("several").checked = chosen.styles.length > 1;
  chosen.weights = Object.fromEntries((told.blend ?? []).map((weight, k) => [recipe.styles[k], weight]));
  chosen.regions = (regions ?? []).filter((id) => id !== REST).map((id, k) => ({
    mask: { id }, color: TINTS[k], style: recipe.styles[Number(told.region_styles[k]) - 1] }));
}

export function showPhoto(photo) {
  chosen.photo = photo;
  $("photo-thumb").src = photo.links.thumbnail;
  $("photo-thumb").hidden = false;
  $("photo-name").textContent = photo.name;
  $("photo-size").textContent = `${photo.width} × ${photo.height} px`;
}

function check(name, value) {
  document.querySelector(`input[name=${name}][value="${value}"]`).checked = true;
}
