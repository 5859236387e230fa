// The shelf of paintings: which are chosen, and how much of each.
import { chosen, styleOf } from "./chosen.js";
import { $, fill, make } from "./dom.js";
import { showRegions } from "./masks.js";
import { touch } from "./preview.js";

export function pick(id, only = false) {
  const several = $("several").checked;
  if (!several || only && !several) chosen.styles = [id];
  else if (chosen.styles.includes(id)) { if (chosen.styles.length > 1) chosen.styles = chosen.styles.filter((one) => one !== id); }
  else chosen.styles = [...chosen.styles, id].slice(-8);
  showShelf(); showWeights(); showRegions(); touch();
}

export function showShelf() {
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

export function showWeights() {
  const list = chosen.styles.length > 1 ? chosen.styles : [];
  $("weights").replaceChildren(...list.map((id) => {
    const input = make("input", { type: "range", min: 0.05, max: 1, step: 0.05, value: chosen.weights[id] ?? 1 });
    input.addEventListener("input", () => { chosen.weights[id] = Number(input.value); fill(input); touch(); });
    fill(input);
    return make("label", {}, [make("span", { textContent: styleOf(id)?.title ?? "own" }), input]);
  }));
}
$("several").addEventListener("change", () => { if (!$("several").checked) chosen.styles = chosen.styles.slice(-1); showShelf(); showWeights(); touch(); });
