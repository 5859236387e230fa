// Masks that are painted: tinted where they are white.
import * as stage from "./stage.js";

const $ = (id) => document.getElementById(id);
const LONGEST = 768;
const mask = $("mask"), pen = mask.getContext("2d", { willReadFrequently: true });
let last = null, size = 0.06, tint = "#e8552d";

export function begin({ width, height, color }) {
  const scale = LONGEST / Math.max(width, height);
  mask.width = Math.round(width * scale);
  mask.height = Math.round(height * scale);
  tint = color;
  mask.hidden = false;
  setSize(Number($("brush-size").value));
  stage.setPainter({ begin: dab, move: stroke, end: () => { last = null; } });
  stage.setCursor(size);
}
export function end() {
  mask.hidden = true;
  last = null;
  stage.setPainter(null);
}
export function setSize(pixels) {
  const width = stage.box()?.width ?? 600;
  size = Math.max(0.01, pixels / width);
  stage.setCursor(size);
}
export const clear = () => pen.clearRect(0, 0, mask.width, mask.height);

// Begin with a picture in which white is inside.
export async function load(source) {
  const image = new Image();
  image.src = source;
  await image.decode();
  pen.drawImage(image, 0, 0, mask.width, mask.height);
  const pixels = pen.getImageData(0, 0, mask.width, mask.height), data = pixels.data;
  const [r, g, b] = [1, 3, 5].map((k) => parseInt(tint.slice(k, k + 2), 16));
  for (let k = 0; k < data.length; k += 4) {
    data[k + 3] = data[k];
    data[k] = r; data[k + 1] = g; data[k + 2] = b;
  }
  pen.putImageData(pixels, 0, 0);
}

export function isEmpty() {
  const data = pen.getImageData(0, 0, mask.width, mask.height).data;
  for (let k = 3; k < data.length; k += 4) if (data[k] > 127) return false;
  return true;
}

// The mask as a PNG: white inside, black outside.
export function toBlob() {
  const copy = document.createElement("canvas");
  copy.width = mask.width;
  copy.height = mask.height;
  const flat = copy.getContext("2d");
  flat.drawImage(mask, 0, 0);
  flat.globalCompositeOperation = "source-in";
  flat.fillStyle = "#fff";
  flat.fillRect(0, 0, copy.width, copy.height);
  flat.globalCompositeOperation = "destination-over";
  flat.fillStyle = "#000";
  flat.fillRect(0, 0, copy.width, copy.height);
  return new Promise((done) => copy.toBlob(done, "image/png"));
}

function dab(x, y) { last = [x, y]; stroke(x, y); }

function stroke(x, y) {
  const from = last ?? [x, y];
  const removing = document.querySelector("input[name=brush]:checked").value === "remove";
  pen.globalCompositeOperation = removing ? "destination-out" : "source-over";
  pen.strokeStyle = tint;
  pen.lineWidth = size * mask.width;
  pen.lineCap = pen.lineJoin = "round";
  pen.beginPath();
  pen.moveTo(from[0] * mask.width, from[1] * mask.height);
  pen.lineTo(x * mask.width + 0.01, y * mask.height);
  pen.stroke();
  pen.globalCompositeOperation = "source-over";
  last = [x, y];
}
