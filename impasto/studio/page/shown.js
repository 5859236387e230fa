// What is on the stage: a preview, a painting, two of them.
import { chosen, styleOf, styles } from "./chosen.js";
import { $, on, tell } from "./dom.js";
import * as stage from "./stage.js";

const PREVIEW = 1024; // pixels on a preview's long side, at most

export const seen = { view: "compare", draft: null, job: null, compare: null, painting: null, jobs: [] };

export async function render() {
  const job = seen.job;
  if (!chosen.photo && !job) return;
  if (seen.view === "style" && styleOnStage()) return showStyle();
  let first = chosen.photo?.links.screen, tags = ["Photo", "Preview"];
  let second = seen.draft?.source ?? first;
  let { width, height } = chosen.photo ?? job.progress;
  if (job) {
    first = seen.compare ? pictureOf(seen.compare) : `/v1/pictures/${job.recipe.content}/screen`;
    second = pictureOf(job) ?? first;
    tags = seen.compare ? difference(seen.compare, job) : ["Photo", isFinished(job) ? "Painting" : "Painting now"];
    if (job.progress.width) ({ width, height } = job.progress);
  }
  await stage.show({ first, second, width, height, tags });
  showTools();
}

async function showStyle() {
  const style = styleOnStage();
  await stage.show({ second: style.picture, tags: ["", style.title] });
  showTools();
}
function showTools() {
  $("tools").hidden = false;
  tell("shown");
}

export function setView(name) {
  seen.view = name;
  document.querySelector(`input[name=view][value=${name}]`).checked = true;
  stage.setMode(name === "style" ? "result" : name);
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
export const nameOf = (job) => job.recipe.styles.map((id) => styleOf(id)?.title ?? "own style").join(" + ");

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
  const all = jobs.map((job) => ({ manner: job.recipe.preset, strength: 0.5, ...job.recipe.settings }));
  const apart = Object.keys({ ...all[0], ...all[1] }).filter((name) => String(all[0][name]) !== String(all[1][name]));
  return jobs.map((job, k) => {
    const told = apart.filter((name) => all[k][name] !== undefined).slice(0, 2).map((name) => `${name.replaceAll("_", " ")} ${all[k][name] ?? "none"}`);
    return [nameOf(job), ...told].join(" · ");
  });
}
