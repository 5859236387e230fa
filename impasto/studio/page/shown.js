// What is on the stage: a preview, a painting, two of them.
import { chosen, styleOf, styles } from "./chosen.js";
import { $, on, tell } from "./dom.js";
import * as stage from "./stage.js";

const PREVIEW = 1024; // pixels on a preview's long side, at most

export const seen = { view: "compare", draft: null, job: null, compare: null, painting: null, jobs: [] };

export async function render() {
  const job = seen.job, style = styleOnStage();
  const isTexture = (job?.kind ?? chosen.mode) === "texture";
  if (style && (seen.view === "style" || isTexture && !job)) return showStyle(style);
  if (!chosen.photo && !job) return;
  let first = chosen.photo?.links.screen, tags = ["Photo", "Preview"];
  let second = seen.draft?.source ?? first;
  let { width, height } = chosen.photo ?? job.progress;
  if (job) {
    first = seen.compare ? pictureOf(seen.compare) : sourceOf(job);
    second = pictureOf(job) ?? first;
    tags = seen.compare ? difference(seen.compare, job) : [isTexture ? "Style" : "Photo", namedAs(job)];
    if (job.progress.width) ({ width, height } = job.progress);
  }
  const alone = !job && !seen.draft;
  stage.setMode(alone ? "photo" : seen.view === "style" ? "result" : seen.view);
  await stage.show({ first, second, width, height, tags });
  showTools();
}

async function showStyle(style) {
  stage.setMode("result");
  await stage.show({ second: style.picture, tags: ["", style.title] });
  showTools();
}

// What is chosen, instead of a painting.
export function showChosen() {
  seen.job = seen.draft = null;
  compare(null);
  render();
}

function showTools() {
  const kind = seen.job?.kind ?? chosen.mode;
  $("view-result").textContent = NAMES[kind] ?? "Painting";
  $("view-photo").hidden = kind === "texture";
  $("view-style").hidden = kind === "dream";
  $("tools").hidden = false;
  tell("shown");
}

export function setView(name) {
  seen.view = name;
  document.querySelector(`input[name=view][value=${name}]`).checked = true;
  render();
}

export function setBeside(on) {
  stage.setBeside(on);
  $("beside").setAttribute("aria-pressed", String(on));
}
$("beside").addEventListener("click", () => {
  const on = seen.view !== "compare" || !stage.isBeside();
  setBeside(on);
  setView("compare");
});

// Another painting beside this one, or none.
export function compare(job) {
  if (Boolean(job) !== Boolean(seen.compare)) setBeside(Boolean(job));
  seen.compare = job;
  $("compare-with").setAttribute("aria-pressed", String(Boolean(job)));
  $("compare-with").textContent = job ? "End comparison" : "Compare with…";
}

export const isFinished = (job) => ["done", "stopped"].includes(job.state) && Boolean(job.links["picture.png"]);

export function nameOf(job) {
  const styles = job.recipe.styles.map((id) => styleOf(id)?.title ?? "own style").join(" + ");
  return { texture: `${styles}, texture`, dream: "Dream" }[job.kind] ?? styles;
}
const NAMES = { texture: "Texture", dream: "Dream" };
const namedAs = (job) => (NAMES[job.kind] ?? "Painting") + (isFinished(job) ? "" : " now");

// The picture that a job began with: a photo, or the style of a texture.
export function sourceOf(job) {
  if (job.recipe.content) return `/v1/pictures/${job.recipe.content}/screen`;
  return styleOf(job.recipe.styles[0])?.picture ?? `/v1/pictures/${job.recipe.styles[0]}/screen`;
}

const styleOnStage = () => styleOf(seen.job ? seen.job.recipe.styles[0] : styles()[0]);

// At 100 % the picture itself, where its preview is smaller.
function pictureOf(job) {
  const { width = 0, height = 0 } = job.progress;
  const whole = stage.isZoomed() && Math.max(width, height) > PREVIEW ? job.links["picture.jpg"] : null;
  return whole ?? job.links.preview;
}
on("zoomed", () => { if (Math.max(seen.job?.progress.width ?? 0, seen.job?.progress.height ?? 0) > PREVIEW) render(); });

// What tells two paintings apart, each in a few words.
function difference(...jobs) {
  const all = jobs.map((job) => ({ manner: job.recipe.preset, strength: Number($("strength").defaultValue), ...job.recipe.settings }));
  const apart = Object.keys({ ...all[0], ...all[1] }).filter((name) => String(all[0][name]) !== String(all[1][name]));
  return jobs.map((job, k) => {
    const told = apart.filter((name) => all[k][name] !== undefined).slice(0, 2).map((name) => `${name.replaceAll("_", " ")} ${all[k][name] ?? "none"}`);
    return [nameOf(job), ...told].join(" · ");
  });
}
