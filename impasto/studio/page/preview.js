// The preview of what is chosen, and the forecast of what the painting takes.
import { ask, order, sentence } from "./api.js";
import { FAST, chosen, draft, making, ready } from "./chosen.js";
import { $, say, toast } from "./dom.js";
import { compare, render, seen, showChosen } from "./shown.js";

const SHARP = 768;

let wanted = 0, drawing = false, settle = 0, began = 0, turn = 0;

// What is drawn now is not what is looked at any more.
export function dropDrafts() {
  turn += 1;
  wanted = 0;
  clearTimeout(settle);
}

export function touch({ sharp = true } = {}) {
  chosen.start = "";
  if (!ready()) return;
  forecastSoon();
  if (chosen.mode !== "paint") { // a preview in one pass there is of paintings only
    dropDrafts();
    return showChosen();
  }
  began = performance.now();
  wanted = FAST;
  clearTimeout(settle);
  if (sharp) settle = setTimeout(() => { wanted = SHARP; draw(); }, 350);
  draw();
}

export const isDrawing = () => drawing;

async function draw() {
  if (drawing || !wanted) return;
  drawing = true;
  $("busy").hidden = false;
  while (wanted) {
    const long = Math.min(wanted, Math.max(chosen.photo.width, chosen.photo.height));
    const mine = turn;
    wanted = 0;
    try {
      let job = await order(draft(long), { wait: 30 });
      while (["queued", "running"].includes(job.state) && mine === turn && !wanted) { // a studio that begins
        await new Promise((done) => setTimeout(done, 300));
        job = await ask(job.links.self);
      }
      if (mine !== turn) continue;
      if (job.state === "failed") throw new Error(sentence(`${job.problem.message}; ${job.problem.remedy}`));
      if (job.state !== "done") continue;
      seen.draft = { source: job.links.preview, width: job.progress.width, height: job.progress.height };
      seen.job = null;
      compare(null);
      await render();
      document.body.dataset.preview = String(Math.round(performance.now() - began));
      say(`Preview in ${((performance.now() - began) / 1000).toFixed(1)} s`);
    } catch (error) {
      toast(error.message);
    }
  }
  drawing = false;
  $("busy").hidden = true;
}

let planning = 0;
export function forecastSoon() {
  clearTimeout(planning);
  planning = setTimeout(forecast, 900);
}
async function forecast() {
  $("forecast").textContent = "";
  if (!ready() || chosen.mode === "dream" || seen.painting?.state === "running") return;
  try {
    const job = await order(making("plan"), { wait: 30 });
    if (job.state === "failed") { $("forecast").textContent = sentence(job.problem.message); return; }
    if (job.state !== "done") return;
    const told = job.progress, memory = (told.memory / 2 ** 30).toFixed(1);
    const tiles = told.tile ? `, in tiles of ${told.tile} px` : "";
    $("forecast").textContent = `${told.width} × ${told.height} px · ${told.steps} steps · ${memory} GB of memory${tiles}`;
  } catch { /* the order itself will say it */ }
}
