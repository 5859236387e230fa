// "Everything else": a panel made from the service's own description of the settings.
import { sentence } from "./api.js";

const MASKS = ["regions", "region_styles", "keep", "style_regions"];
// These have a control of their own.
export const OWN = {
  paint: ["strength", "protect", "subject", "style_scale", "color", "size", "quality", "blend", ...MASKS],
  texture: ["style_scale", "size", "quality", "blend", "wrap", "aspect", ...MASKS],
  dream: ["size"],
};

export function build(root, groups, mode, changed) {
  root.replaceChildren();
  const own = (group) => Number(group.name === sentence(mode)); // the mode's own group comes first, open
  for (const group of groups.toSorted((a, b) => own(b) - own(a))) {
    const settings = group.settings.filter((one) => !OWN[mode].includes(one.name));
    if (!settings.length) continue;
    const part = document.createElement("details"), heading = document.createElement("summary");
    part.className = "group";
    heading.textContent = group.name;
    part.open = Boolean(own(group));
    part.append(heading, ...settings.map((one) => row(one, changed)));
    root.append(part);
  }
}

function row(setting, changed) {
  const line = document.createElement("div");
  line.className = "setting";
  const label = document.createElement("label");
  const name = document.createElement("strong");
  name.textContent = sentence(setting.name.replaceAll("_", " "));
  const help = document.createElement("span");
  help.textContent = setting.help;
  label.append(name, help, field(setting));
  line.append(label);
  line.addEventListener("change", () => {
    const input = line.querySelector("input, select");
    const value = parse(setting, input.value);
    line.classList.toggle("changed", value !== undefined);
    changed(setting.name, value);
  });
  return line;
}

function field(setting) {
  const standard = text(setting.default);
  if (setting.choices.length && !setting.list && setting.type === "text") {
    const select = document.createElement("select");
    if (setting.optional) select.append(new Option("by itself", ""));
    for (const choice of setting.choices) select.append(new Option(choice === setting.default ? `${choice} (as it is)` : choice, choice));
    select.value = standard;
    select.dataset.name = setting.name;
    return select;
  }
  const input = document.createElement("input");
  input.dataset.name = setting.name;
  const numeric = !setting.list && setting.type !== "text" && !setting.choices.length;
  input.type = numeric ? "number" : "text";
  if (numeric) {
    if (setting.least !== undefined) input.min = setting.least;
    if (setting.most !== undefined) input.max = setting.most;
    input.step = setting.type === "whole" ? 1 : "any";
  }
  input.placeholder = standard || "by itself";
  input.autocomplete = "off";
  return input;
}

// The value of a field; undefined where it is as it was.
function parse(setting, given) {
  const value = given.trim();
  if (value === "" || value === text(setting.default)) return undefined;
  if (setting.optional && value === "none") return null;
  const one = (part) => (setting.type === "text" || Number.isNaN(Number(part)) ? part.trim() : Number(part));
  return setting.list ? value.split(",").map(one) : one(value);
}

export function set(root, values) {
  for (const input of root.querySelectorAll("[data-name]")) {
    const given = values[input.dataset.name];
    if (input.tagName === "SELECT") input.value = given === undefined ? [...input.options].find((x) => x.text.endsWith("(as it is)"))?.value ?? "" : text(given);
    else input.value = given === undefined ? "" : text(given);
    input.closest(".setting").classList.toggle("changed", given !== undefined);
  }
}

function text(value) {
  if (value === null || value === undefined) return "";
  return Array.isArray(value) ? value.join(",") : String(value);
}
