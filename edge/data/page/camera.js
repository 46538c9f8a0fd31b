// One camera's card: state, pictures, chart, numbers, what was watched.

import { clock, drawChart, short } from "./chart.js";
import { followLimit, makeSlider } from "./limit.js";

const STATES = {
  watching: ["watching", "good"],
  warming_up: ["warming up", "warn"],
  degraded: ["degraded", "warn"],
  rebuilding: ["rebuilding", "warn"],
  blind: ["blind", "bad"],
  disabled: ["switched off", ""],
};
export const CONDITIONS = {
  lighting: "light changed", moved: "camera moved", blocked: "blocked", blurred: "blurred", frozen: "frozen", frame_gap: "frames missing",
};
const SPANS = ["watched", "warming", "degraded", "blind", "disabled"];
const WORDS = { warming: "warming up", disabled: "switched off" };
const KEPT_SECONDS = 130;
const PICTURE_MILLISECONDS = 200;
const FAILED_MILLISECONDS = 1000;
const LABEL_MILLISECONDS = 5000;

/** Return a card for the camera; `update` takes what /api/live says of it and the device's time. */
export function makeCamera(name) {
  const card = document.getElementById("camera").content.firstElementChild.cloneNode(true);
  const title = card.querySelector("h2");
  title.textContent = name;
  title.id = `camera-${name}`;
  card.setAttribute("aria-labelledby", title.id);
  card.dataset.camera = name;
  const camera = { name, card, points: [], told: null, isVisible: false, tried: null, slider: null, time: 0, frame: 0, labelled: -LABEL_MILLISECONDS };
  const [frame, prediction, error] = card.querySelectorAll(".pictures canvas");
  frame.setAttribute("aria-label", `Live frame of ${name}`);
  prediction.setAttribute("aria-label", `What the network predicted for this frame of ${name}`);
  error.setAttribute("aria-label", `Error of the prediction for ${name}: bright where frame and prediction differ`);
  new IntersectionObserver(([entry]) => { camera.isVisible = entry.isIntersecting; }).observe(card);
  keepPictures(camera, [frame, prediction, error]);
  const redraw = () => drawChart(card.querySelector(".chart"), camera.points, camera.time, camera.tried);
  camera.slider = makeSlider(camera, redraw);
  return { card, camera, redraw, update: (told, time) => { update(camera, told, time); redraw(); } };
}

function update(camera, told, time) {
  const { card } = camera;
  camera.told = told;
  camera.time = time;
  const first = told.points.length ? told.points[0][0] : Infinity; // what is later was told before the clock was set back
  camera.points = [...camera.points.filter((point) => point[0] < first), ...told.points].filter((point) => point[0] >= time - KEPT_SECONDS);
  const [word, tone] = STATES[told.state] ?? [told.state, ""];
  const isOff = told.state === "disabled";
  const state = card.querySelector(".state");
  setText(state, told.is_silent && told.state === "watching" ? "no picture" : word);
  state.className = `pill state ${told.is_silent && !isOff ? "bad" : tone}`;
  card.classList.toggle("event", told.anomaly);
  card.classList.toggle("old", told.is_silent);
  setText(card.querySelector(".silent"), silence(told, isOff));
  setConditions(card.querySelector(".conditions"), told);
  setNumbers(camera, told, time);
  setCoverage(card.querySelector(".spans"), told.coverage);
  followLimit(camera.slider, told.points.length ? told.points[told.points.length - 1][3] : null);
}

function silence(told, isOff) {
  if (!told.is_silent || isOff) return "";
  return told.silent_seconds === null ? "No picture yet" : `No picture for ${span(told.silent_seconds)}`;
}

function setConditions(list, told) {
  const words = told.conditions.map((one) => CONDITIONS[one.name] ?? one.name);
  if (told.anomaly) words.unshift(told.zones.length ? `event in ${told.zones.join(", ")}` : "event");
  if (list.dataset.words === words.join()) return;
  list.dataset.words = words.join();
  list.hidden = words.length === 0;
  list.replaceChildren(...words.map((word) => make("li", word, `pill ${word.startsWith("event") ? "bad" : "warn"}`)));
}

function setNumbers(camera, told, time) {
  const last = [...camera.points].reverse().find((point) => point[2] !== null);
  const [level, limit, error] = camera.card.querySelectorAll(".numbers dd");
  const newest = camera.points[camera.points.length - 1];
  const isNow = last !== undefined && last === newest && !told.is_silent;
  setText(level, isNow ? short(last[2]) : "–");
  setText(limit, newest ? short(newest[3]) : "–");
  setText(error, isNow ? `${short(last[1])} grey levels` : "–");
  if (performance.now() - camera.labelled < LABEL_MILLISECONDS) return;
  camera.labelled = performance.now();
  const now = isNow ? `now level ${short(last[2])}, limit ${short(last[3])}, error ${short(last[1])} grey levels` : "nothing is scored now";
  camera.card.querySelector(".chart").setAttribute(
    "aria-label", `Error, level and limit of ${camera.name} over the last two minutes; at ${clock(time)} ${now}`);
}

function setCoverage(place, coverage) {
  if (!coverage) return;
  const key = JSON.stringify(coverage);
  if (place.dataset.key === key) return;
  place.dataset.key = key;
  place.replaceChildren(spanOf("Last hour", coverage.hour, 3600), spanOf("Last day", coverage.day, 86400));
}

function spanOf(title, seconds, length) {
  const bar = make("div", "", "bar-of-time");
  bar.setAttribute("aria-hidden", "true");
  const words = [];
  for (const name of SPANS) {
    const value = seconds[`${name}_seconds`];
    const part = make("span", "", name);
    part.style.width = `${(100 * value) / length}%`;
    bar.append(part);
    if (value >= 0.5) words.push(`${WORDS[name] ?? name} ${span(value)}`);
  }
  const whole = make("div", "");
  whole.append(make("p", `${title}: ${words.join(", ") || "nothing counted yet"}`), bar);
  return whole;
}

/**
 * Fetch the newest picture again and again while it can be seen, and lay its three parts side by side, until the card is
 * taken off the page; it comes onto it once it is made.
 */
async function keepPictures(camera, canvases) {
  do {
    let pause = PICTURE_MILLISECONDS;
    const isWanted = camera.isVisible && !document.hidden && camera.told && !camera.told.is_silent;
    if (isWanted) {
      try {
        await showPicture(camera, canvases);
      } catch {
        pause = FAILED_MILLISECONDS;
      }
    }
    await new Promise((done) => { setTimeout(done, pause); });
  } while (camera.card.isConnected);
}

async function showPicture(camera, canvases) {
  const answer = await fetch(`/api/cameras/${camera.name}/live.jpg?after=${camera.frame}`, { signal: AbortSignal.timeout(4000) });
  if (answer.status !== 200) return;
  camera.frame = Number(answer.headers.get("X-Frame-Number"));
  const picture = await createImageBitmap(await answer.blob());
  const height = picture.height / 3;
  canvases.forEach((canvas, index) => {
    if (canvas.width !== picture.width || canvas.height !== height) {
      canvas.width = picture.width;
      canvas.height = height;
      canvas.style.aspectRatio = `${picture.width} / ${height}`;
    }
    canvas.getContext("2d").drawImage(picture, 0, index * height, picture.width, height, 0, 0, picture.width, height);
  });
  camera.card.dataset.frame = camera.frame;
  picture.close();
}

/** Forget what was drawn: the device has begun anew, and its numbers with it. */
export function beginAnew(camera) {
  camera.points = [];
  camera.frame = 0;
}

/** A span of time in words. */
export function span(seconds) {
  const whole = Math.round(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60];
  const parts = hours ? [[hours, "h"], [minutes, "min"]] : [[minutes, "min"], [rest, "s"]];
  return parts.filter(([value]) => value).map(([value, unit]) => `${value}\u00a0${unit}`).join(" ") || "0\u00a0s";
}

/** An element with a text and a class. */
export function make(tag, text, className = "") {
  const element = document.createElement(tag);
  element.textContent = text;
  if (className) element.className = className;
  return element;
}

/** Set a text only where it is another, so that readers are not told the same twice. */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}
