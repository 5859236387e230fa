// Finished paintings: the card of one, and the strip of all.
import { ask, sentence } from "./api.js";
import { chosen } from "./chosen.js";
import { useSettings } from "./controls.js";
import { $, duration, guarded, make, on, say, toTop, toast } from "./dom.js";
import { follow, followNext } from "./painting.js";
import { dropDrafts } from "./preview.js";
import { compare, isFinished, nameOf, render, seen, setView, sourceOf } from "./shown.js";

function showResult() {
  const job = seen.job;
  $("result").hidden = !job || !isFinished(job);
  if ($("result").hidden) return;
  const told = job.progress;
  $("result-title").textContent = nameOf(job);
  const strength = ["paint", "quick"].includes(job.kind) ? ` · strength ${job.recipe.settings.strength ?? $("strength").defaultValue}` : "";
  $("result-text").textContent = `${told.width} × ${told.height} px${strength} · ${told.step ?? 0} ${told.step === 1 ? "step" : "steps"} in ${duration(told.seconds)}${job.state === "stopped" ? " · stopped early" : ""}`;
  for (const [id, name] of [["get-png", "picture.png"], ["get-jpg", "picture.jpg"], ["get-tif", "picture.tif"], ["get-gif", "evolution.gif"], ["get-mp4", "evolution.mp4"], ["get-zip", "files.zip"]]) {
    $(id).hidden = !job.links[name];
    if (job.links[name]) $(id).href = job.links[name];
  }
  $("no-mp4").hidden = chosen.mp4 || !job.links["evolution.gif"];
  $("go-on").hidden = job.kind === "dream";
  $("command").textContent = job.command;
}
async function copy(text) {
  try { await navigator.clipboard.writeText(text); say("Copied"); }
  catch { getSelection().selectAllChildren($("command")); toast("Press Ctrl-C: the command is selected."); }
}
$("copy-command").addEventListener("click", () => copy(seen.job.command));
$("copy-python").addEventListener("click", () => copy(seen.job.python));
$("delete").addEventListener("click", guarded(async () => {
  await ask(`/v1/jobs/${seen.job.id}`, { method: "DELETE" });
  seen.job = null;
  await loadHistory();
  render();
}));
// The menu closes by what is chosen in it, and by a click elsewhere.
document.addEventListener("click", (event) => {
  if (!event.target.closest("#more summary")) $("more").open = false;
});
$("more").addEventListener("keydown", (event) => { if (event.key === "Escape") { $("more").open = false; $("more").firstElementChild.focus(); } });

let choosing = false; // whether the next of the strip is compared with the one on the stage
$("compare-with").addEventListener("click", () => {
  if (seen.compare) { compare(null); return render(); }
  choosing = !choosing;
  $("compare-with").setAttribute("aria-pressed", String(choosing));
  if (!choosing) return;
  toast("Choose another painting below to compare with.");
  $("history").scrollIntoView({ block: "nearest" });
});
$("use-settings").addEventListener("click", guarded(() => useSettings(seen.job)));
$("go-on").addEventListener("click", guarded(async () => {
  const job = seen.job;
  await useSettings(job);
  seen.job = job;
  chosen.start = job.id;
  await render();
  toast("“Paint it” goes on from this picture. Change strength or subject first, if you like.");
}));

export async function loadHistory() {
  seen.jobs = await ask("/v1/jobs");
  $("history-empty").hidden = seen.jobs.length > 0;
  $("history").replaceChildren(...seen.jobs.map((job) => {
    const picture = job.links.preview ?? sourceOf(job);
    const open = make("button", { type: "button" }, [make("img", { src: picture, alt: "", loading: "lazy" })]);
    open.dataset.job = job.id;
    const mark = { queued: "waiting", running: "painting", paused: "paused", failed: "failed", "set aside": "set aside", stopped: "stopped early" }[job.state];
    if (mark) open.append(make("span", { className: "mark", textContent: mark }));
    open.setAttribute("aria-label", `${nameOf(job)}, ${mark ?? "painted"}`);
    open.title = nameOf(job);
    open.addEventListener("click", guarded(() => choose(job.id)));
    return make("li", {}, [open]);
  }));
  markHistory();
}
async function choose(id) {
  dropDrafts();
  const job = await ask(`/v1/jobs/${id}`);
  if (choosing && seen.job && seen.job.id !== id) compare(job);
  else {
    seen.job = job;
    compare(null);
    if (job.problem) toast(sentence(`${job.problem.message}; ${job.problem.remedy}`));
    if (["paused", "queued", "running"].includes(job.state) && seen.painting?.id !== id) follow(job, false);
  }
  choosing = false;
  setView("compare");
  toTop();
}
function markHistory() {
  const shown = [seen.job?.id, seen.compare?.id];
  for (const open of $("history").querySelectorAll("button")) open.setAttribute("aria-current", String(shown.includes(open.dataset.job)));
}

on("shown", () => { showResult(); markHistory(); });
on("queue", guarded(async () => { await loadHistory(); if (!seen.painting) followNext(); }));
