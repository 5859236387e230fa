// The page: its keys, and how it begins.
import { ask } from "./api.js";
import { chosen } from "./chosen.js";
import { EXAMPLES, showPresets, showValues } from "./controls.js";
import { $, guarded, say, value } from "./dom.js";
import "./files.js";
import { loadHistory } from "./history.js";
import { brushing, stopBrush } from "./masks.js";
import { follow, followNext, toggle } from "./painting.js";
import { showSettings } from "./modes.js";
import { isDrawing } from "./preview.js";
import { showShelf } from "./shelf.js";
import { seen, setView } from "./shown.js";
import * as stage from "./stage.js";

const ARROWS = { arrowleft: [60, 0], arrowright: [-60, 0], arrowup: [0, 60], arrowdown: [0, -60] };

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input:not([type=radio]):not([type=range]):not([type=checkbox]), select, dialog *")) return;
  if (event.key === " " && event.target.matches("button, summary, a, input")) return;
  const views = { c: "compare", r: "result", p: "photo", s: "style" };
  const key = event.key.toLowerCase();
  if (key in views && !brushing && !$("tools").hidden) setView(views[key]);
  else if (key === "m") (brushing ? $("brush-done") : $("subject-edit")).click();
  else if (key === "b" && !brushing && !$("tools").hidden) $("beside").click();
  else if (key in ARROWS && stage.isZoomed() && !event.target.matches("input, [role=slider]")) { event.preventDefault(); stage.pan(...ARROWS[key]); }
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

guarded(async () => {
  showValues();
  [chosen.shelf, chosen.presets, { mp4: chosen.mp4 }] = await Promise.all(["/v1/styles", "/v1/presets", "/v1/status"].map((path) => ask(path)));
  chosen.presets = chosen.presets.filter((preset) => preset.name in EXAMPLES);
  showShelf();
  showPresets();
  const quick = await ask("/v1/settings?kind=quick");
  chosen.quickNames = new Set(quick.flatMap((group) => group.settings.map((one) => one.name)));
  await showSettings();
  await loadHistory();
  followNext();
  const paused = seen.jobs.find((job) => job.state === "paused");
  if (!seen.painting && paused) follow(paused, false);
  while (!(await ask("/v1/status")).ready) await new Promise((done) => setTimeout(done, 400));
  if (!seen.painting && !isDrawing()) say("Ready");
})();
