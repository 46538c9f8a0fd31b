// The page: asks the device twice a second what is so, and shows it.

import { beginAnew, make, makeCamera, setText } from "./camera.js";
import { clock } from "./chart.js";
import { readEvents, tellEvents } from "./events.js";

const POLL_MILLISECONDS = 500;
const HIDDEN_MILLISECONDS = 5000;
const ANSWER_MILLISECONDS = 3000;
const STATUS = { online: ["online", "good"], degraded: ["degraded", "warn"], stopping: ["stopping", "warn"], offline: ["offline", "bad"] };
const THEMES = ["automatic", "dark", "light"];

const cameras = new Map();
let boot = null;
let number = 0;
let heardAt = Date.now();
let areEventsRead = false;
let wake = () => {};

async function poll() {
  const answer = await fetch(`/api/live?after=${number}`, { signal: AbortSignal.timeout(ANSWER_MILLISECONDS) });
  if (answer.status === 401) { location.reload(); return; }
  if (!answer.ok) throw new Error(String(answer.status));
  const told = await answer.json();
  if (boot !== null && boot !== told.boot) {
    boot = null;
    number = 0;
    for (const { camera } of cameras.values()) beginAnew(camera);
    return;
  }
  const isFirst = boot === null;
  [boot, number, heardAt] = [told.boot, told.number, Date.now()];
  if (isFirst || !areEventsRead) areEventsRead = await readEvents();
  show(told, isFirst);
}

function show(told, isFirst) {
  setText(document.getElementById("device"), `${told.device} at ${told.site}`);
  const [word, tone] = STATUS[told.status] ?? [told.status, ""];
  setText(document.getElementById("status"), word);
  document.getElementById("status").className = `pill ${tone}`;
  setText(document.getElementById("sums"), sums(told));
  showFaults(told.faults);
  const place = document.getElementById("cameras");
  for (const name of cameras.keys()) {
    if (!(name in told.cameras)) { cameras.get(name).card.remove(); cameras.delete(name); }
  }
  for (const [name, camera] of Object.entries(told.cameras)) {
    if (!cameras.has(name)) { cameras.set(name, makeCamera(name)); place.append(cameras.get(name).card); }
    cameras.get(name).update(camera, told.time);
  }
  tellEvents(told.events, !isFirst);
  const open = Object.entries(told.cameras).filter(([, camera]) => camera.anomaly).map(([name]) => name);
  document.title = open.length ? `● ${open.join(", ")} – ${told.device}` : `${told.device} – prednet-edge`;
}

function sums(told) {
  const health = told.health;
  const words = [`bundle ${told.bundle}`];
  const warmest = health?.temperatures_celsius ? Math.max(...Object.values(health.temperatures_celsius)) : null;
  if (warmest !== null) words.push(`${warmest.toFixed(0)} °C`);
  if (health?.throttled) words.push("throttled");
  if (health?.memory_bytes) words.push(`${(health.memory_bytes / 1e6).toFixed(0)} MB memory`);
  if (health?.disk_free_bytes) words.push(`${(health.disk_free_bytes / 1e9).toFixed(0)} GB free`);
  if (health?.outbox?.depth) words.push(`${health.outbox.depth} events wait for the broker`);
  return words.join(" · ");
}

function showFaults(faults) {
  const section = document.getElementById("faults");
  const key = JSON.stringify(faults);
  if (section.dataset.key === key) return;
  section.dataset.key = key;
  section.hidden = faults.length === 0;
  section.querySelector("ul").replaceChildren(...faults.map((fault) => {
    const item = make("li", "");
    const since = clock(Date.parse(fault.since) / 1000);
    item.append(make("strong", fault.code.replaceAll("_", " ")), ` ${fault.camera ? `${fault.camera}, ` : ""}since ${since}. `, make("span", fault.hint, "quiet"));
    return item;
  }));
}

function tellTrouble() {
  const isLost = Date.now() - heardAt > ANSWER_MILLISECONDS;
  const trouble = document.getElementById("trouble");
  document.body.classList.toggle("stale", isLost);
  if (isLost) setText(trouble, `No connection to the device since ${clock(heardAt / 1000)}. What is shown is old.`);
  trouble.hidden = !isLost;
  if (isLost) setText(document.getElementById("status"), "no connection");
  if (isLost) document.getElementById("status").className = "pill bad";
}

async function run() {
  for (;;) {
    try { await poll(); } catch { /* tellTrouble says it once it lasts */ }
    await new Promise((done) => {
      wake = done;
      setTimeout(done, document.hidden ? HIDDEN_MILLISECONDS : POLL_MILLISECONDS);
    });
  }
}

function setTheme(name) {
  if (name === "automatic") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
  setText(document.getElementById("theme"), `Theme: ${name}`);
  for (const { redraw } of cameras.values()) redraw();
}

const wanted = localStorage.getItem("theme");
setTheme(THEMES.includes(wanted) ? wanted : THEMES[0]);
document.getElementById("theme").addEventListener("click", () => {
  setTheme(THEMES[(THEMES.indexOf(localStorage.getItem("theme")) + 1) % THEMES.length]);
});
document.addEventListener("visibilitychange", () => wake());
window.addEventListener("resize", () => { for (const { redraw } of cameras.values()) redraw(); });
if (location.hash.startsWith("#token=")) history.replaceState(null, "", location.pathname);
setInterval(tellTrouble, 500);
run();
