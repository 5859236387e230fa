// Everything that the page asks of the service. Throws Error with a message for people.
const client = sessionStorage.getItem("client") ?? crypto.randomUUID?.() ?? String(Math.random()).slice(2);
sessionStorage.setItem("client", client);

export async function ask(path, options = {}) {
  const headers = { "X-Impasto-Client": client, ...options.headers };
  let answer;
  try {
    answer = await fetch(path, { ...options, headers });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Error("The studio does not answer. Is it still running?");
  }
  if (answer.status === 204) return null;
  const told = await answer.json().catch(() => ({}));
  if (!answer.ok) {
    const remedy = told.remedy ? `; ${told.remedy}` : "";
    throw new Error(sentence(`${told.detail ?? answer.statusText}${remedy}`));
  }
  return told;
}

export function order(body, { wait = 0, signal } = {}) {
  const headers = { "Content-Type": "application/json", "Idempotency-Key": random() };
  if (wait) headers.Prefer = `wait=${wait}`;
  return ask("/v1/jobs", { method: "POST", headers, body: JSON.stringify(body), signal });
}

export function upload(blob, name, role) {
  const form = new FormData();
  form.append("role", role);
  form.append("file", blob, name);
  return ask("/v1/pictures", { method: "POST", body: form });
}

export const act = (job, action) => ask(`/v1/jobs/${job}/${action}`, { method: "POST" });

// Calls told(job) each time that the job changes; returns a function that stops it.
export function watch(job, told) {
  const source = new EventSource(`/v1/jobs/${job}/events`);
  source.addEventListener("job", (event) => {
    const found = JSON.parse(event.data);
    if (!["queued", "running", "paused"].includes(found.state)) source.close();
    told(found);
  });
  return () => source.close();
}

export function sentence(text) {
  return text ? text[0].toUpperCase() + text.slice(1) : text;
}

function random() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (x) => x.toString(16).padStart(2, "0")).join("");
}
