// The list of events, and the window that shows one with its evidence.

import { CONDITIONS, make, setText, span } from "./camera.js";
import { short } from "./chart.js";
import { order } from "./orders.js";

const KINDS = { surprise: "Surprise", stall: "Stall", condition: "Condition", flood: "Too many events", test: "Test" };
const ENDS = {
  cleared: "it passed", condition: "the camera's condition", camera_lost: "camera lost", disabled: "switched off", restart: "restart", stopped: "stop",
};
const VERDICTS = { real: "real", false: "false alarm", unsure: "unsure" };
const PAGE = window.matchMedia("(max-width: 62rem)").matches ? 10 : 30; // beside the cameras, or below them
const MOST = 500; // on a wall the page is open for months
const MOST_NEWS = 5;
const JUDGED = ["surprise", "stall"];
const RAREST_PER_HOUR = 1 / (24 * 365);

const list = document.querySelector("#events ol");
const older = document.getElementById("older");
const news = document.getElementById("news");
const dialog = document.getElementById("event");
const filter = document.getElementById("filter");
const known = new Map();
let openId = null;
let most = MOST; // and what somebody has read back beyond it

/** Take in what is new of events; `isNews` reads it out. */
export function tellEvents(events, isNews) {
  for (const event of events) {
    const before = known.get(event.event_id);
    known.set(event.event_id, { verdict: null, ...before, ...event });
    if (isNews && !before) news.append(make("span", `New event on ${event.camera}: ${title(event)}. `));
    if (event.event_id === openId) showEvent(event.event_id);
  }
  if (!events.length) return;
  while (news.childElementCount > MOST_NEWS) news.firstElementChild.remove();
  dropOldest();
  drawList();
}

function dropOldest() {
  const ids = [...known.keys()].filter((id) => id !== openId).sort();
  for (const id of ids.slice(0, Math.max(known.size - most, 0))) {
    known.delete(id);
    older.hidden = false;
  }
}

/** Read the events before those that are known; return whether the device told them. */
export async function readOlder() {
  const oldest = [...known.keys()].sort()[0] ?? "~";
  const answer = await fetch(`/api/events?limit=${PAGE}&before=${encodeURIComponent(oldest)}&kind=${filter.value}`).catch(() => null);
  if (!answer?.ok) return false;
  const { events } = await answer.json();
  for (const event of events) if (!known.has(event.event_id)) known.set(event.event_id, event);
  most = Math.max(MOST, known.size);
  older.hidden = events.length < PAGE;
  drawList();
  return true;
}

/** Read the last events anew: verdicts too, which no live message tells. Return whether the device told them. */
export function readEvents() {
  known.clear();
  return readOlder();
}

function drawList() {
  const focused = document.activeElement?.dataset?.event;
  const ids = [...known.keys()].filter((id) => isWanted(known.get(id))).sort().reverse();
  document.getElementById("no-events").hidden = ids.length > 0;
  list.replaceChildren(...ids.map((id) => row(known.get(id))));
  if (focused) list.querySelector(`[data-event="${focused}"]`)?.focus();
}

function isWanted(event) {
  if (filter.value === "all") return true;
  return JUDGED.includes(event.kind) === (filter.value === "judged");
}

function row(event) {
  const item = make("li", "", event.is_open ? "open" : "");
  const button = make("button", "");
  button.type = "button";
  button.dataset.event = event.event_id;
  button.addEventListener("click", () => { showEvent(event.event_id); dialog.showModal(); });
  const picture = event.evidence?.heatmap ?? event.evidence?.strip;
  const seen = make(picture ? "img" : "span", "", "blank");
  if (picture) { seen.src = `/${picture}`; seen.alt = ""; seen.loading = "lazy"; seen.className = ""; }
  const more = [event.camera, when(event.begun)];
  if (event.peak !== null && event.peak !== undefined) more.push(`peak ${short(event.peak)}`);
  if (event.end) more.push(span(event.end - event.begun));
  button.append(seen, make("span", title(event), "what"), mark(event), make("span", more.join(" · "), "more"));
  item.append(button);
  return item;
}

function mark(event) {
  if (event.verdict) return make("span", VERDICTS[event.verdict], `pill ${event.verdict === "real" ? "bad" : ""}`);
  return event.is_open ? make("span", "now", "pill bad") : make("span", "", "");
}

function title(event) {
  const kind = KINDS[event.kind] ?? event.kind;
  if (event.kind === "condition" && event.conditions.length) return `${kind}: ${event.conditions.map((one) => CONDITIONS[one] ?? one).join(", ")}`;
  return event.zones?.length ? `${kind} in ${event.zones.join(", ")}` : kind;
}

function when(seconds) {
  const time = new Date(seconds * 1000);
  const isToday = time.toDateString() === new Date().toDateString();
  const clock = { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false };
  return isToday ? time.toLocaleTimeString([], clock) : time.toLocaleString([], { month: "short", day: "numeric", ...clock });
}

function showEvent(id) {
  const event = known.get(id);
  if (id !== openId) setText(dialog.querySelector(".answer"), "");
  openId = id;
  setText(document.getElementById("event-title"), `${title(event)} on ${event.camera}`);
  const end = event.is_open ? ", still going on" : event.end ? `, ${span(event.end - event.begun)} long` : "";
  setText(dialog.querySelector(".when"), `${new Date(event.begun * 1000).toLocaleString()}${end}`);
  showEvidence(event);
  dialog.querySelector(".facts").replaceChildren(...facts(event).map(fact));
  for (const button of dialog.querySelectorAll("[data-verdict]")) {
    button.setAttribute("aria-pressed", String(button.dataset.verdict === event.verdict));
  }
}

function facts(event) {
  const rate = event.rate_per_hour;
  return [
    ["Highest level", event.peak === null || event.peak === undefined ? null : short(event.peak)],
    ["Limit", event.limit === null || event.limit === undefined ? null : short(event.limit)],
    ["Normal work shows that", rate === null || rate === undefined ? null : often(rate)],
    ["Ended by", event.end_reason ? ENDS[event.end_reason] : null],
    ["Calibrated", event.calibrated === null || event.calibrated === undefined ? null : event.calibrated ? "for this camera" : "no: the bundle's own"],
    ["Event", event.event_id],
  ].filter(([, value]) => value !== null);
}

function often(perHour) {
  if (perHour < RAREST_PER_HOUR) return "less than once a year";
  if (perHour < 1 / 48) return `once in ${Math.round(1 / (24 * perHour))} days`;
  return perHour < 1 ? `once in ${span(3600 / perHour)}` : `${short(perHour)} times an hour`;
}

function fact([name, value]) {
  const pair = make("div", "");
  pair.append(make("dt", name), make("dd", value));
  return pair;
}

function showEvidence(event) {
  const place = dialog.querySelector(".evidence");
  const key = `${event.event_id} ${JSON.stringify(event.evidence)} ${event.is_open}`;
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  const evidence = event.evidence;
  if (!evidence) {
    place.replaceChildren(make("p", event.is_open ? "Its evidence comes when it has ended." : "There is no evidence of it, or not yet.", "quiet"));
    return;
  }
  const pair = make("div", "", "pair");
  if (evidence.clip) pair.append(film(evidence.clip, event));
  if (evidence.heatmap) pair.append(image(evidence.heatmap, "Where it stood out, red, at the peak"));
  const files = make("p", "", "files");
  for (const path of Object.values(evidence)) {
    const link = make("a", path.split("/").pop());
    link.href = `/${path}`;
    link.download = `${event.camera}-${event.event_id}-${path.split("/").pop()}`;
    files.append(link);
  }
  place.replaceChildren(pair, ...(evidence.strip ? [image(evidence.strip, "Frame, prediction and error at the peak")] : []), files);
}

function film(path, event) {
  const figure = document.createElement("figure");
  const video = document.createElement("video");
  Object.assign(video, { src: `/${path}`, controls: true, preload: "metadata", loop: true });
  video.setAttribute("aria-label", `Clip of the event on ${event.camera}, without sound`);
  const words = make("figcaption", "From before the event to after it");
  video.addEventListener("error", () => setText(words, "This browser cannot play the camera's video; download clip below."));
  figure.append(video, words);
  return figure;
}

function image(path, words) {
  const figure = document.createElement("figure");
  const picture = document.createElement("img");
  Object.assign(picture, { src: `/${path}`, alt: words });
  const caption = make("figcaption", words);
  caption.setAttribute("aria-hidden", "true");
  figure.append(picture, caption);
  return figure;
}

async function judge(verdict) {
  const id = openId;
  const told = await order(`/api/events/${id}/verdict`, { verdict });
  const event = known.get(id);
  if (told.is_known && event) {
    event.verdict = verdict;
    drawList();
  }
  if (id !== openId) return; // another one has been opened meanwhile
  if (event) showEvent(id);
  setText(dialog.querySelector(".answer"), told.error ?? (told.is_known ? "Noted." : "The device does not know this event any more."));
}

older.addEventListener("click", readOlder);
filter.addEventListener("change", readEvents);
dialog.querySelector(".close").addEventListener("click", () => dialog.close());
dialog.addEventListener("click", (click) => { if (click.target === dialog) dialog.close(); });
dialog.addEventListener("close", () => {
  const id = openId;
  openId = null;
  dialog.querySelector("video")?.pause();
  list.querySelector(`[data-event="${id}"]`)?.focus(); // its row may have been drawn anew meanwhile
});
for (const button of dialog.querySelectorAll("[data-verdict]")) button.addEventListener("click", () => judge(button.dataset.verdict));
