// Parts of the page, and what it says.
export const $ = (id) => document.getElementById(id);
export const value = (id) => Number($(id).value);
export function make(tag, values = {}, children = []) {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
}

export function fill(input) {
  const share = (input.value - input.min) / (input.max - input.min);
  input.style.setProperty("--fill", `${share * 100}%`);
}

export function say(text) { $("state").textContent = text; }
let toasted = 0;
export function toast(text) {
  $("toast").textContent = text;
  $("toast").hidden = false;
  clearTimeout(toasted);
  toasted = setTimeout(() => { $("toast").hidden = true; }, 7000);
}
export const guarded = (work) => async (...given) => { try { return await work(...given); } catch (error) { toast(error.message); } };

// On a phone the picture and its cards are above the controls.
export function toTop() { if (innerWidth <= 820) scrollTo({ top: 0, behavior: "smooth" }); }
export const duration = (seconds) => (seconds < 90 ? `${Math.ceil(seconds)} s` : `${Math.ceil(seconds / 60)} min`);

// What one part of the page tells the others: "shown", another picture is on the stage; "queue", jobs
// were ordered, or came to an end.
export const tell = (name) => document.dispatchEvent(new Event(name));
export const on = (name, work) => document.addEventListener(name, work);
