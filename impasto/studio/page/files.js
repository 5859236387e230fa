// Pictures come in: dropped, pasted, chosen.
import { ask, upload } from "./api.js";
import { chosen } from "./chosen.js";
import { showPhoto } from "./controls.js";
import { $, guarded, say, toast } from "./dom.js";
import { showRegions, showSubject } from "./masks.js";
import { touch } from "./preview.js";
import { setMode, showReady } from "./modes.js";
import { pick, showShelf } from "./shelf.js";
import { showChosen } from "./shown.js";

const takePhoto = guarded(async (file) => {
  say("Reading the photo…");
  const photo = await upload(file, file.name ?? "pasted.png", "photo");
  if (chosen.mode === "texture") await setMode("paint");
  usePhoto(photo);
});
function usePhoto(photo) {
  showPhoto(photo);
  chosen.subjectMask = null;
  chosen.subject = "auto";
  chosen.regions = [];
  if (!chosen.styles.length && chosen.shelf.length) chosen.styles = ["waves"];
  say("Ready");
  showReady(); showSubject(); showShelf(); showRegions(); showChosen(); touch();
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
