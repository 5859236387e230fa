// The painting that forms: ordered, followed, paused.
import { act, order, sentence, watch } from "./api.js";
import { making, ready } from "./chosen.js";
import { $, duration, guarded, on, say, tell, toTop, toast } from "./dom.js";
import { brushing } from "./masks.js";
import { dropDrafts } from "./preview.js";
import { compare, render, seen, setView } from "./shown.js";

$("panel").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  if (!ready()) return toast("Choose a picture first.");
  dropDrafts();
  const job = await order(making());
  await follow(job, true);
  tell("queue");
}));

let unwatch = null;
export async function follow(job, show) {
  unwatch?.();
  seen.painting = job;
  if (show) { seen.job = job; compare(null); setView("compare"); toTop(); }
  showRun();
  unwatch = watch(job.id, (now) => {
    const ended = !["queued", "running", "paused"].includes(now.state);
    seen.painting = ended ? null : now;
    if (seen.job?.id === now.id) { seen.job = now; if (!brushing) render(); }
    showRun(now);
    if (ended) {
      say({ done: "Painted", stopped: "Kept as it is", cancelled: "Discarded" }[now.state] ?? sentence(now.state));
      if (now.problem) toast(sentence(`${now.problem.message}; ${now.problem.remedy}`));
      if (now.state === "cancelled" && seen.job?.id === now.id) { seen.job = null; render(); }
      tell("queue");
    }
  });
}
export function followNext() {
  const next = seen.jobs.find((job) => job.state === "running") ?? seen.jobs.findLast((job) => job.state === "queued");
  if (next) follow(next, false);
}

function showRun(now = seen.painting) {
  const job = seen.painting;
  $("run").hidden = !job;
  if (!job) return;
  const told = now.progress, waiting = job.state === "queued";
  const percent = `${Math.round((told.fraction ?? 0) * 100)} %`;
  const queued = seen.jobs.filter((one) => one.state === "queued" && one.id !== job.id).length;
  $("run-title").textContent = { queued: "Waiting", running: "Painting", paused: "Paused" }[job.state] + (waiting ? "" : ` · ${percent}`);
  const parts = [];
  if (told.step) parts.push(`step ${told.step} of ${told.steps}`);
  if (told.left > 0 && job.state === "running") parts.push(`about ${duration(told.left)} left`);
  if (told.width) parts.push(`${told.width} × ${told.height} px`);
  if (queued) parts.push(`${queued} more in the queue`);
  if (job.problem) parts.splice(0, parts.length, sentence(`${job.problem.message}; ${job.problem.remedy}`));
  $("run-text").textContent = parts.join(" · ");
  $("run-bar").value = told.fraction ?? 0;
  $("run-pause").textContent = job.state === "paused" ? "Go on" : "Pause";
  $("run-show").hidden = seen.job?.id === job.id;
  if (job.state === "running") say(`Painting, ${percent}`);
  if (job.state === "paused") say("Paused");
  curve(told.losses ?? []);
}
function curve(losses) {
  const [fillPath, line] = $("run-curve").children;
  $("run-curve").hidden = losses.length < 2;
  if (losses.length < 2) return;
  const logs = Math.min(...losses) > 0 ? losses.map(Math.log) : losses; // a dream's falls below zero
  const low = Math.min(...logs), high = Math.max(...logs), span = high - low || 1;
  const points = logs.map((y, k) => `${(600 * k / (logs.length - 1)).toFixed(1)},${(74 - 68 * (y - low) / span).toFixed(1)}`);
  line.setAttribute("d", `M${points.join("L")}`);
  fillPath.setAttribute("d", `M0,80L${points.join("L")}L600,80Z`);
  $("run-curve").setAttribute("aria-label", `The loss: from ${losses[0]} to ${losses.at(-1)}`);
}
export const toggle = guarded(async () => { if (seen.painting) await act(seen.painting.id, seen.painting.state === "paused" ? "resume" : "pause"); });
$("run-pause").addEventListener("click", toggle);
$("run-stop").addEventListener("click", guarded(() => act(seen.painting.id, "stop")));
$("run-cancel").addEventListener("click", guarded(() => act(seen.painting.id, "cancel")));
$("run-show").addEventListener("click", () => { seen.job = seen.painting; compare(null); setView("compare"); });

on("shown", () => showRun());
