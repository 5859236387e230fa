// The page: what is chosen, its preview, the painting, the history.
import { act, ask, order, sentence, upload, watch } from "./api.js";
import * as brush from "./brush.js";
import * as settings from "./settings.js";
import * as stage from "./stage.js";

const $ = (id) => document.getElementById(id);
const SUBJECT = "#e8552d";
const TINTS = ["#2f7de1", "#2e9e5b", "#9a4fd0", "#c99a12", "#12a5a5"];
const FAST = 288, SHARP = 768;
const REST = "rest";

const chosen = {
  photo: null, styles: [], weights: {}, extra: {}, preset: "default", start: "",
  subject: "auto", subjectMask: null, regions: [], presets: [], quickNames: new Set(), shelf: [],
};
const seen = { draft: null, job: null, compare: null, comparing: false, painting: null, unwatch: null, jobs: [] };

// --- what is chosen ------------------------------------------------------------------------------

const value = (id) => Number($(id).value);
const color = () => document.querySelector("input[name=color]:checked").value;
const scale = () => Number((2 ** value("scale")).toFixed(3));
const size = () => ($("size").value === "none" ? null : Number($("size").value));

function masks() {
  const found = {};
  if (chosen.subjectMask) found.subject = [chosen.subjectMask.id];
  if (chosen.regions.length) found.regions = [...chosen.regions.map((one) => one.mask.id), REST];
  return found;
}

function styles() {
  const list = [...chosen.styles];
  for (const region of chosen.regions) if (!list.includes(region.style)) list.push(region.style);
  return list;
}

function shared() {
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

function painting(kind = "paint") {
  const told = { ...chosen.extra, ...shared(), strength: value("strength"), size: size(), quality: $("quality").value };
  if (scale() !== 1) told.style_scale = [scale()];
  return { kind, content: chosen.photo.id, styles: styles(), settings: told, masks: masks(), preset: chosen.preset, start: chosen.start };
}

function draft(long) {
  // A painting's strength is a limit on the photo's change; a draft's, a mixture of statistics.
  const told = { ...shared(), strength: Number((value("strength") ** 0.35).toFixed(3)), size: long };
  if (scale() !== 1) told.style_scale = scale();
  if (long === FAST) told.quality = "draft";
  for (const [name, given] of Object.entries(chosen.extra)) if (chosen.quickNames.has(name)) told[name] = given;
  delete told.precision;
  return { kind: "quick", content: chosen.photo.id, styles: styles(), settings: told, masks: masks(), screen: true, keep: false };
}

// --- the preview ---------------------------------------------------------------------------------

let wanted = 0, drawing = false, settle = 0, began = 0, turn = 0;

// What is drawn now is not what is looked at any more.
function dropDrafts() {
  turn += 1;
  wanted = 0;
  clearTimeout(settle);
}

function touch({ sharp = true } = {}) {
  chosen.start = "";
  if (!ready()) return;
  began = performance.now();
  wanted = FAST;
  clearTimeout(settle);
  if (sharp) settle = setTimeout(() => { wanted = SHARP; draw(); }, 350);
  forecastSoon();
  draw();
}

const ready = () => Boolean(chosen.photo && chosen.styles.length);

async function draw() {
  if (drawing || !wanted) return;
  drawing = true;
  $("busy").hidden = false;
  while (wanted) {
    const long = Math.min(wanted, Math.max(chosen.photo.width, chosen.photo.height));
    const mine = turn;
    wanted = 0;
    try {
      const job = await order(draft(long), { wait: 30 });
      if (mine !== turn) continue;
      if (job.state === "failed") throw new Error(sentence(`${job.problem.message}; ${job.problem.remedy}`));
      if (job.state !== "done") continue;
      seen.draft = { source: job.links.preview, width: job.progress.width, height: job.progress.height };
      seen.job = seen.compare = null;
      setComparing(false);
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
function forecastSoon() {
  clearTimeout(planning);
  planning = setTimeout(forecast, 900);
}
async function forecast() {
  if (!ready() || seen.painting?.state === "running") return;
  try {
    const job = await order(painting("plan"), { wait: 30 });
    if (job.state === "failed") { $("forecast").textContent = sentence(job.problem.message); return; }
    if (job.state !== "done") return;
    const told = job.progress, memory = (told.memory / 2 ** 30).toFixed(1);
    const tiles = told.tile ? `, in tiles of ${told.tile} px` : "";
    $("forecast").textContent = `${told.width} × ${told.height} px · ${told.steps} steps · ${memory} GB of memory${tiles}`;
  } catch { /* the order itself will say it */ }
}

// --- what is shown -------------------------------------------------------------------------------

async function render() {
  if (!chosen.photo && !seen.job) return;
  const job = seen.job;
  let first = chosen.photo?.links.screen, tags = ["Photo", "Preview"];
  let second = seen.draft?.source ?? first;
  let { width, height } = chosen.photo ?? job.progress;
  if (job) {
    first = `/v1/pictures/${job.recipe.content}/screen`;
    second = job.links.preview ?? first;
    tags = ["Photo", job.state === "done" || job.state === "stopped" ? "Painting" : "Painting now"];
    if (job.progress.width) ({ width, height } = job.progress);
  }
  if (seen.compare) {
    first = seen.compare.links.preview;
    tags = [nameOf(seen.compare), nameOf(job)];
  }
  if (stage.mode() === "style") second = styleOf(job ? job.recipe.styles[0] : styles()[0])?.picture ?? second;
  await stage.show({ first, second, width, height, tags });
  $("tools").hidden = false;
  showResult();
  showRun();
  markHistory();
}

function setView(name) {
  document.querySelector(`input[name=view][value=${name}]`).checked = true;
  stage.setMode(name === "style" ? "result" : name);
  if (name === "style") {
    const found = styleOf(seen.job ? seen.job.recipe.styles[0] : styles()[0]);
    if (found) stage.show({ second: found.picture, width: 1, height: 1, tags: ["", found.title] });
  } else render();
}

// On a phone the picture and its cards are above the controls.
function toTop() { if (innerWidth <= 820) scrollTo({ top: 0, behavior: "smooth" }); }

const styleOf = (id) => chosen.shelf.find((one) => one.id === id);
const nameOf = (job) => job.recipe.styles.map((id) => styleOf(id)?.title ?? "own style").join(" + ");

function say(text) { $("state").textContent = text; }
let toasted = 0;
function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toasted);
  toasted = setTimeout(() => { $("toast").hidden = true; }, 7000);
}
const guarded = (work) => async (...given) => { try { return await work(...given); } catch (error) { toast(error.message); } };

// --- pictures come in ----------------------------------------------------------------------------

const takePhoto = guarded(async (file) => {
  say("Reading the photo…");
  const photo = await upload(file, file.name ?? "pasted.png", "photo");
  usePhoto(photo);
});
function usePhoto(photo) {
  chosen.photo = photo;
  chosen.subjectMask = null;
  chosen.subject = "auto";
  chosen.regions = [];
  seen.job = seen.draft = seen.compare = null;
  $("photo-thumb").src = photo.links.thumbnail;
  $("photo-thumb").hidden = false;
  $("photo-name").textContent = photo.name;
  $("photo-size").textContent = `${photo.width} × ${photo.height} px`;
  if (!chosen.styles.length && chosen.shelf.length) chosen.styles = ["waves"];
  $("paint").disabled = false;
  showSubject(); showShelf(); showRegions(); render(); touch();
}

const takeStyles = guarded(async (files) => {
  for (const file of files) {
    const found = await upload(file, file.name ?? "pasted.png", "style");
    chosen.shelf = await ask("/v1/styles");
    pick(found.id, true);
  }
});

async function takeFiles(files, target) {
  const pictures = [...files].filter((file) => !file.type || file.type.startsWith("image/"));
  if (!pictures.length) return toast("That is no picture. Drop a PNG, JPEG, WebP, TIFF, BMP, GIF, AVIF or JPEG 2000.");
  if (target === "style") return takeStyles(pictures);
  await takePhoto(pictures[0]);
  if (pictures.length > 1) await takeStyles(pictures.slice(1));
}

let depth = 0;
document.addEventListener("dragenter", (event) => { if (event.dataTransfer?.types.includes("Files")) { depth += 1; $("drop").hidden = false; } });
document.addEventListener("dragleave", () => { depth = Math.max(0, depth - 1); if (!depth) $("drop").hidden = true; });
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  depth = 0;
  $("drop").hidden = true;
  if (event.dataTransfer.files.length) takeFiles(event.dataTransfer.files, event.target.closest("#shelf") ? "style" : "photo");
});
document.addEventListener("paste", (event) => {
  const files = [...(event.clipboardData?.files ?? [])];
  if (files.length) takeFiles(files, chosen.photo ? "style" : "photo");
});
for (const id of ["choose-photo", "welcome-choose"]) $(id).addEventListener("click", () => $("photo-file").click());
$("photo-file").addEventListener("change", (event) => { if (event.target.files.length) takeFiles(event.target.files); event.target.value = ""; });
$("style-file").addEventListener("change", (event) => { if (event.target.files.length) takeStyles([...event.target.files]); event.target.value = ""; });
$("sample").addEventListener("click", guarded(async () => {
  const answer = await fetch("/page/sample.jpg");
  await takePhoto(new File([await answer.blob()], "sample.jpg"));
}));

// --- styles --------------------------------------------------------------------------------------

function pick(id, only = false) {
  const several = $("several").checked;
  if (!several || only && !several) chosen.styles = [id];
  else if (chosen.styles.includes(id)) { if (chosen.styles.length > 1) chosen.styles = chosen.styles.filter((one) => one !== id); }
  else chosen.styles = [...chosen.styles, id].slice(-8);
  showShelf(); showWeights(); showRegions(); touch();
}

function showShelf() {
  const add = make("button", { type: "button", title: "Add a painting" }, [make("span", { className: "plus", textContent: "+" }), make("span", { className: "name", textContent: "Your own" })]);
  add.addEventListener("click", () => $("style-file").click());
  const cards = chosen.shelf.map((style) => {
    const card = make("button", { type: "button", title: style.description }, [
      make("img", { src: style.thumbnail, alt: "", loading: "lazy" }), make("span", { className: "name", textContent: style.title })]);
    card.setAttribute("aria-pressed", String(chosen.styles.includes(style.id)));
    card.addEventListener("click", () => pick(style.id));
    card.dataset.style = style.id;
    return card;
  });
  const focused = document.activeElement?.dataset?.style;
  $("shelf").replaceChildren(...cards, add);
  if (focused) $("shelf").querySelector(`[data-style="${focused}"]`)?.focus();
}

function showWeights() {
  const list = chosen.styles.length > 1 ? chosen.styles : [];
  $("weights").replaceChildren(...list.map((id) => {
    const input = make("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: chosen.weights[id] ?? 1 });
    input.addEventListener("input", () => { chosen.weights[id] = Number(input.value); fill(input); touch(); });
    fill(input);
    return make("label", {}, [make("span", { textContent: styleOf(id)?.title ?? "own" }), input]);
  }));
}
$("several").addEventListener("change", () => { if (!$("several").checked) chosen.styles = chosen.styles.slice(-1); showShelf(); showWeights(); touch(); });

// --- controls ------------------------------------------------------------------------------------

function fill(input) {
  const share = (input.value - input.min) / (input.max - input.min);
  input.style.setProperty("--fill", `${share * 100}%`);
}
function showValues() {
  $("strength-out").value = value("strength").toFixed(2);
  $("protect-out").value = chosen.subject === "off" ? "off" : value("protect").toFixed(2);
  $("scale-out").value = `× ${scale().toFixed(2)}`;
  for (const input of document.querySelectorAll("input[type=range]")) fill(input);
}
for (const id of ["strength", "protect", "scale"]) {
  $(id).addEventListener("input", () => { showValues(); touch(); });
}
for (const input of document.querySelectorAll("input[name=color]")) input.addEventListener("change", () => touch());
for (const id of ["size", "quality"]) $(id).addEventListener("change", forecastSoon);
for (const input of document.querySelectorAll("input[name=view]")) input.addEventListener("change", () => setView(input.value));
$("zoom-fit").addEventListener("click", () => stage.zoomTo(false));
$("zoom-full").addEventListener("click", () => stage.zoomTo(!stage.isZoomed()));

// --- masks ---------------------------------------------------------------------------------------

let brushing = null;
async function startBrush(task) {
  if (!chosen.photo || brushing) return;
  brushing = task;
  stage.zoomTo(false);
  $("brushbar").hidden = false;
  $("tools").hidden = true;
  toTop();
  $("brush-title").replaceChildren(make("strong", { textContent: task.title }), ` ${task.text}`);
  document.querySelector("input[name=brush][value=add]").checked = true;
  await stage.show({ first: chosen.photo.links.screen, width: chosen.photo.width, height: chosen.photo.height });
  brush.begin({ width: chosen.photo.width, height: chosen.photo.height, color: task.color });
  if (task.source) await brush.load(task.source);
  $("brush-done").focus({ preventScroll: true });
}
function stopBrush() {
  brush.end();
  brushing = null;
  $("brushbar").hidden = true;
  render();
}
$("subject-edit").addEventListener("click", guarded(async () => {
  if (!chosen.photo) return toast("Choose a photo first.");
  let source = chosen.subjectMask?.links.file;
  if (!source) {
    say("Looking for the subject…");
    const job = await order({ kind: "subject", content: chosen.photo.id }, { wait: 30 });
    source = job.links.preview;
    say("");
  }
  await startBrush({
    title: "The subject.", text: "What is tinted stays closest to the photo. Paint to add, or take away.", color: SUBJECT, source,
    done: (mask) => { chosen.subjectMask = mask; chosen.subject = mask ? "mask" : "off"; showSubject(); },
  });
}));
function showSubject() {
  $("subject-state").textContent = { auto: "found by itself", mask: "as you brushed it", off: "none" }[chosen.subject];
  showValues();
}
$("region-add").addEventListener("click", () => {
  if (!chosen.photo) return toast("Choose a photo first.");
  if (chosen.regions.length >= TINTS.length) return toast(`There may be ${TINTS.length} regions.`);
  const color = TINTS.find((one) => !chosen.regions.some((region) => region.color === one));
  startBrush({
    title: "A region.", text: "Paint where another painting shall be.", color,
    done: (mask) => {
      if (!mask) return;
      const other = chosen.shelf.find((one) => !chosen.styles.includes(one.id));
      chosen.regions.push({ mask, color, style: other.id });
      showRegions();
    },
  });
});
function showRegions() {
  $("region-hint").hidden = chosen.regions.length > 0;
  $("regions").replaceChildren(...chosen.regions.map((region, k) => {
    const dot = make("span", { className: "dot" });
    dot.style.background = region.color;
    const select = make("select", {}, chosen.shelf.map((one) => new Option(one.title, one.id)));
    select.value = region.style;
    select.setAttribute("aria-label", `Painting of region ${k + 1}`);
    select.addEventListener("change", () => { region.style = select.value; touch(); });
    const remove = make("button", { type: "button", className: "small", textContent: "Remove" });
    remove.addEventListener("click", () => { chosen.regions.splice(k, 1); showRegions(); touch(); });
    return make("li", {}, [dot, select, remove]);
  }));
}
$("brush-size").addEventListener("input", () => { fill($("brush-size")); brush.setSize(value("brush-size")); });
$("brush-clear").addEventListener("click", brush.clear);
$("brush-cancel").addEventListener("click", stopBrush);
$("brush-done").addEventListener("click", guarded(async () => {
  const task = brushing;
  const mask = brush.isEmpty() ? null : await upload(await brush.toBlob(), "mask.png", "mask");
  stopBrush();
  task.done(mask);
  touch();
}));

// --- painting ------------------------------------------------------------------------------------

$("panel").addEventListener("submit", guarded(async (event) => {
  event.preventDefault();
  if (!ready()) return toast("Choose a photo and a painting first.");
  dropDrafts();
  const job = await order(painting());
  await follow(job, true);
  loadHistory();
}));

async function follow(job, show) {
  seen.unwatch?.();
  seen.painting = job;
  if (show) { seen.job = job; seen.compare = null; setView("compare"); toTop(); }
  showRun();
  seen.unwatch = watch(job.id, (now) => {
    const ended = !["queued", "running", "paused"].includes(now.state);
    seen.painting = ended ? null : now;
    if (seen.job?.id === now.id) { seen.job = now; if (!brushing && stage.mode() !== "style") render(); }
    showRun(now);
    if (ended) {
      say({ done: "Painted", stopped: "Kept as it is", cancelled: "Discarded" }[now.state] ?? sentence(now.state));
      if (now.problem) toast(sentence(`${now.problem.message}; ${now.problem.remedy}`));
      if (now.state === "cancelled" && seen.job?.id === now.id) { seen.job = null; render(); }
      loadHistory().then(followNext);
    }
  });
}
function followNext() {
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
  const logs = losses.map((x) => Math.log(Math.max(x, 1e-9)));
  const low = Math.min(...logs), high = Math.max(...logs), span = high - low || 1;
  const points = logs.map((y, k) => `${(600 * k / (logs.length - 1)).toFixed(1)},${(74 - 68 * (y - low) / span).toFixed(1)}`);
  line.setAttribute("d", `M${points.join("L")}`);
  fillPath.setAttribute("d", `M0,80L${points.join("L")}L600,80Z`);
  $("run-curve").setAttribute("aria-label", `The loss: from ${losses[0]} to ${losses.at(-1)}`);
}
const duration = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

const toggle = guarded(async () => { if (seen.painting) await act(seen.painting.id, seen.painting.state === "paused" ? "resume" : "pause"); });
$("run-pause").addEventListener("click", toggle);
$("run-stop").addEventListener("click", guarded(() => act(seen.painting.id, "stop")));
$("run-cancel").addEventListener("click", guarded(() => act(seen.painting.id, "cancel")));
$("run-show").addEventListener("click", () => { seen.job = seen.painting; seen.compare = null; setView("compare"); });

// --- results and history -------------------------------------------------------------------------

function showResult() {
  const job = seen.job, finished = job && ["done", "stopped"].includes(job.state) && job.links["picture.png"];
  $("result").hidden = !finished;
  if (!finished) return;
  const told = job.progress;
  $("result-title").textContent = nameOf(job);
  $("result-text").textContent = `${told.width} × ${told.height} px · strength ${job.recipe.settings.strength ?? 0.5} · ${told.step ?? 0} ${told.step === 1 ? "step" : "steps"} in ${duration(told.seconds)}${job.state === "stopped" ? " · stopped early" : ""}`;
  for (const [id, name] of [["get-png", "picture.png"], ["get-jpg", "picture.jpg"], ["get-tif", "picture.tif"], ["get-gif", "evolution.gif"], ["get-zip", "files.zip"]]) {
    $(id).hidden = !job.links[name];
    if (job.links[name]) $(id).href = job.links[name];
  }
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
function setComparing(on) {
  seen.comparing = on;
  $("compare-with").setAttribute("aria-pressed", String(on));
}
$("compare-with").addEventListener("click", () => {
  if (seen.compare) { seen.compare = null; setComparing(false); render(); return; }
  setComparing(!seen.comparing);
  if (seen.comparing) toast("Choose another painting below to compare with.");
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

async function useSettings(job) {
  const recipe = job.recipe, told = { ...recipe.settings };
  const photo = await ask(`/v1/pictures/${recipe.content}`);
  chosen.photo = photo;
  $("photo-thumb").src = photo.links.thumbnail;
  $("photo-thumb").hidden = false;
  $("photo-name").textContent = photo.name;
  $("photo-size").textContent = `${photo.width} × ${photo.height} px`;
  $("paint").disabled = false;
  const count = recipe.masks.regions ? new Set((told.region_styles?.at(-1) ?? "1").split("+").map(Number)).size : recipe.styles.length;
  chosen.styles = recipe.styles.slice(0, count);
  $("several").checked = chosen.styles.length > 1;
  chosen.weights = Object.fromEntries((told.blend ?? []).map((weight, k) => [recipe.styles[k], weight]));
  chosen.regions = (recipe.masks.regions ?? []).filter((id) => id !== REST).map((id, k) => ({
    mask: { id }, color: TINTS[k], style: recipe.styles[Number(told.region_styles[k]) - 1] }));
  const mask = recipe.masks.subject?.[0];
  chosen.subjectMask = mask ? await ask(`/v1/pictures/${mask}`) : null;
  chosen.subject = mask ? "mask" : told.subject ?? "auto";
  chosen.preset = recipe.preset;
  $("strength").value = told.strength ?? 0.5;
  $("protect").value = told.protect ?? 0.3;
  $("scale").value = Math.log2(told.style_scale?.[0] ?? 1);
  document.querySelector(`input[name=color][value=${told.color ?? "style"}]`).checked = true;
  $("size").value = told.size === null ? "none" : told.size ?? 512;
  $("quality").value = told.quality ?? "standard";
  for (const name of ["strength", "protect", "style_scale", "color", "size", "quality", "blend", "region_styles", "subject"]) delete told[name];
  chosen.extra = told;
  settings.set($("settings"), told);
  document.querySelector(`input[name=preset][value="${chosen.preset}"]`).checked = true;
  showShelf(); showWeights(); showSubject(); showRegions(); showChanged(); forecastSoon();
}

async function loadHistory() {
  seen.jobs = await ask("/v1/jobs");
  $("history-empty").hidden = seen.jobs.length > 0;
  $("history").replaceChildren(...seen.jobs.map((job) => {
    const picture = job.links.preview ?? `/v1/pictures/${job.recipe.content}/thumbnail`;
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
  if (seen.comparing && seen.job && seen.job.id !== id) {
    seen.compare = job;
    $("compare-with").textContent = "End comparison";
    setComparing(true);
  } else {
    seen.job = job;
    seen.compare = null;
    if (job.problem) toast(sentence(`${job.problem.message}; ${job.problem.remedy}`));
    if (["paused", "queued", "running"].includes(job.state) && seen.painting?.id !== id) follow(job, false);
  }
  setView("compare");
  toTop();
}
function markHistory() {
  if (!seen.compare) $("compare-with").textContent = "Compare with…";
  for (const open of $("history").querySelectorAll("button")) open.setAttribute("aria-current", String(open.dataset.job === seen.job?.id));
}

// --- presets, everything else --------------------------------------------------------------------

const EXAMPLES = { default: "impasto", oil: "impasto", sketch: "hatching", mosaic: "mosaic" };
function showPresets() {
  $("presets").replaceChildren(...chosen.presets.map((preset) => {
    const input = make("input", { type: "radio", name: "preset", value: preset.name, checked: preset.name === chosen.preset });
    input.addEventListener("change", () => { chosen.preset = preset.name; forecastSoon(); });
    const picture = make("img", { src: `/page/preset-${preset.name}.webp`, alt: "" });
    return make("label", { title: preset.good_for }, [input, picture, make("span", { textContent: sentence(preset.name) })]);
  }));
}
function showChanged() {
  const count = Object.keys(chosen.extra).length;
  $("changed").hidden = !count;
  $("changed").textContent = `${count} changed`;
}

// --- keys, theme ---------------------------------------------------------------------------------

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=radio]):not([type=range]):not([type=checkbox]), select, dialog *")) return;
  if (event.key === " " && event.target.matches("button, summary, a, input")) return;
  const views = { c: "compare", r: "result", p: "photo", s: "style" };
  const key = event.key.toLowerCase();
  if (key in views && !brushing && !$("tools").hidden) setView(views[key]);
  else if (key === "m") (brushing ? $("brush-done") : $("subject-edit")).click();
  else if (key === "z") stage.zoomTo(!stage.isZoomed());
  else if (key === "[" || key === "]") { $("brush-size").value = value("brush-size") + (key === "]" ? 8 : -8); $("brush-size").dispatchEvent(new Event("input")); }
  else if (key === "escape" && brushing) stopBrush();
  else if (key === " " && seen.painting) { event.preventDefault(); toggle(); }
  else if (key === "?") $("keys").showModal();
});
$("keys-open").addEventListener("click", () => $("keys").showModal());
$("theme").addEventListener("click", () => {
  const root = document.documentElement, dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const now = root.dataset.theme ?? (dark ? "dark" : "light");
  root.dataset.theme = now === "dark" ? "light" : "dark";
  localStorage.setItem("theme", root.dataset.theme);
});
addEventListener("beforeprint", () => stage.layout());

function make(tag, values = {}, children = []) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

// --- begin ---------------------------------------------------------------------------------------

guarded(async () => {
  showValues();
  [chosen.shelf, chosen.presets] = await Promise.all([ask("/v1/styles"), ask("/v1/presets")]);
  chosen.presets = chosen.presets.filter((preset) => preset.name in EXAMPLES);
  showShelf();
  showPresets();
  const quick = await ask("/v1/settings?kind=quick");
  chosen.quickNames = new Set(quick.flatMap((group) => group.settings.map((one) => one.name)));
  await settings.build($("settings"), (name, given) => {
    if (given === undefined) delete chosen.extra[name];
    else chosen.extra[name] = given;
    showChanged();
    if (chosen.quickNames.has(name)) touch(); else forecastSoon();
  });
  await loadHistory();
  followNext();
  const paused = seen.jobs.find((job) => job.state === "paused");
  if (!seen.painting && paused) follow(paused, false);
  while (!(await ask("/v1/status")).ready) await new Promise((done) => setTimeout(done, 400));
  if (!seen.painting && !drawing) say("Ready");
})();
