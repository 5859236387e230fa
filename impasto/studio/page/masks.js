// The subject and the regions, which are brushed.
import { order, upload } from "./api.js";
import * as brush from "./brush.js";
import { TINTS, chosen } from "./chosen.js";
import { $, fill, guarded, make, say, toTop, toast, value } from "./dom.js";
import { touch } from "./preview.js";
import { render } from "./shown.js";
import * as stage from "./stage.js";

const SUBJECT = "#e8552d";

export let brushing = null;
async function startBrush(task) {
  if (!chosen.photo || brushing) return;
  brushing = task;
  stage.zoomTo(false);
  const { photo } = chosen;
  try {
    await stage.show({ first: photo.links.screen, width: photo.width, height: photo.height });
    brush.begin({ width: photo.width, height: photo.height, color: task.color });
    if (task.source) await brush.load(task.source);
  } catch (error) {
    stopBrush();
    throw error;
  }
  // Only now: what is brushed or done before the mask is there would be lost.
  $("brush-title").replaceChildren(make("strong", { textContent: task.title }), ` ${task.text}`);
  document.querySelector("input[name=brush][value=add]").checked = true;
  $("brushbar").hidden = false;
  $("tools").hidden = true;
  toTop();
  stage.layout();
  brush.setSize(value("brush-size"));
  $("brush-done").focus({ preventScroll: true });
}
export function stopBrush() {
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
export function showSubject() {
  $("subject-state").textContent = { auto: "found by itself", mask: "as you brushed it", off: "none" }[chosen.subject];
  showProtect();
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
export function showRegions() {
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

export function showProtect() {
  $("protect-out").value = chosen.subject === "off" ? "off" : value("protect").toFixed(2);
}
