// What is made: a painting, a texture, a dream. Each has its own part of the controls.
import { ask } from "./api.js";
import { chosen, ready } from "./chosen.js";
import { $, guarded } from "./dom.js";
import { forecastSoon, touch } from "./preview.js";
import * as settings from "./settings.js";
import { showShelf } from "./shelf.js";
import { showChosen } from "./shown.js";

const WORDS = {
  paint: { make: "Paint it", finished: "The finished painting", rest: "Everything else" },
  texture: { make: "Make the texture", finished: "The finished texture", rest: "Everything else", hint: "More of a painting, of any shape, with no photo: a background, a tile without seams." },
  dream: { make: "Dream it", finished: "The finished dream", rest: "What is dreamt of", hint: "Lets grow in the photo what the network sees in it." },
};

export async function setMode(mode) {
  chosen.mode = mode;
  document.querySelector(`input[name=mode][value=${mode}]`).checked = true;
  const words = WORDS[mode];
  $("paint").textContent = words.make;
  $("finished-title").textContent = words.finished;
  $("everything-title").textContent = words.rest;
  $("mode-hint").textContent = words.hint ?? "";
  $("mode-hint").hidden = !words.hint;
  for (const part of document.querySelectorAll("[data-for]")) part.hidden = !part.dataset.for.split(" ").includes(mode);
  const whole = $("size").querySelector("[value=none]");
  whole.hidden = whole.disabled = mode === "texture";
  if (whole.disabled && $("size").value === "none") $("size").value = "512";
  if (mode === "texture" && !chosen.styles.length) chosen.styles = ["waves"];
  // Now, not when the settings come: by then somebody may have opened it.
  $("everything").open = mode === "dream";
  $("settings").replaceChildren();
  showShelf();
  showReady();
  await showSettings();
}
for (const input of document.querySelectorAll("input[name=mode]")) {
  input.addEventListener("change", guarded(async () => { await setMode(input.value); showChosen(); touch(); }));
}

export function showReady() {
  $("paint").disabled = !ready();
}

// The panel of this mode, from the service's own description, with what was changed in it.
export async function showSettings() {
  const mode = chosen.mode, groups = await ask(`/v1/settings?kind=${mode}`);
  if (mode !== chosen.mode) return;
  settings.build($("settings"), groups, mode, (name, given) => {
    if (given === undefined) delete chosen.extra[mode][name];
    else chosen.extra[mode][name] = given;
    showChanged();
    if (mode === "paint" && chosen.quickNames.has(name)) touch(); else forecastSoon();
  });
  settings.set($("settings"), chosen.extra[mode]);
  showChanged();
}

function showChanged() {
  const count = Object.keys(chosen.extra[chosen.mode]).length;
  $("changed").hidden = !count;
  $("changed").textContent = `${count} changed`;
}
