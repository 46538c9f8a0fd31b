// The limit of one camera: a slider that says what the last day would have told, before anything is changed.

import { make, setText, span } from "./camera.js";
import { short } from "./chart.js";
import { order } from "./orders.js";

const PAUSE_MILLISECONDS = 150;
const AGAIN_MILLISECONDS = 1000;
const ANSWER_MILLISECONDS = 60_000;
const TOO_MANY = 429; // others try limits
const DIGITS = 4; // of a limit that is asked for and set

/** Fill the camera's card with its slider, and return it; `redraw` is called when another limit is tried. */
export function makeSlider(camera, redraw) {
  const place = camera.card.querySelector(".slider");
  const slider = { camera, place, redraw, told: null, timer: 0, isReading: false, isAsking: false, isWaiting: false };
  const input = Object.assign(document.createElement("input"), { type: "range", step: "any", id: `limit-${camera.name}`, disabled: true });
  const label = make("label", "Limit: what would another one have told?");
  label.htmlFor = input.id;
  const ends = make("p", "", "ends");
  ends.append(make("span", "more events"), make("span", "fewer events"));
  const answer = make("p", "", "tried");
  answer.setAttribute("role", "status");
  const set = make("button", "Set this limit");
  const own = make("button", "Back to the calibration’s own");
  set.type = own.type = "button";
  set.disabled = own.hidden = true;
  const buttons = make("div", "", "buttons");
  buttons.append(set, own);
  place.replaceChildren(label, input, ends, answer, buttons, make("p", "", "promise quiet"));
  Object.assign(slider, { input, answer, set, own });
  input.addEventListener("input", () => moved(slider));
  set.addEventListener("click", () => put(slider, Number(Number(input.value).toPrecision(DIGITS))));
  own.addEventListener("click", () => put(slider, null));
  return slider;
}

/** Read the limit where none is known, or where a new frame's (null: none came) tells of a change elsewhere and none is tried here. */
export function followLimit(slider, limit) {
  const { told, camera } = slider;
  const isOld = told === null || (limit !== null && camera.tried === null && Math.abs(limit - told.on) > 0.001);
  if (isOld && !slider.isReading) readLimit(slider);
}

async function readLimit(slider) {
  slider.isReading = true;
  try {
    const reply = await fetch(`/api/cameras/${slider.camera.name}/limit`);
    if (reply.ok) takeOver(slider, await reply.json());
  } catch { /* the page tells that the device is gone, and the next numbers ask again */ }
  slider.isReading = false;
}

function takeOver(slider, told) {
  slider.told = told;
  Object.assign(slider.input, { min: told.low, max: told.high, value: told.on, disabled: false });
  slider.camera.tried = null;
  showButtons(slider);
  setText(slider.place.querySelector(".promise"), told.promise ? `${told.promise[0].toUpperCase()}${told.promise.slice(1)}.` : "");
  ask(slider);
}

function moved(slider) {
  slider.camera.tried = Number(Number(slider.input.value).toPrecision(DIGITS));
  slider.redraw();
  showButtons(slider);
  clearTimeout(slider.timer);
  slider.timer = setTimeout(() => ask(slider), PAUSE_MILLISECONDS);
}

function showButtons(slider) {
  const { told, camera } = slider;
  slider.set.disabled = camera.tried === null || Math.abs(camera.tried - told.on) < 0.0005;
  slider.own.hidden = !told.is_set;
  slider.input.setAttribute("aria-valuetext", `level ${short(camera.tried ?? told.on)}`);
}

let turn = Promise.resolve(); // of all cameras: the device tries one limit at a time, and pictures need its threads

/** Ask what the limit would have told; one question at a time, and the last one is never left out. */
async function ask(slider) {
  if (slider.isAsking) { slider.isWaiting = true; return; }
  slider.isAsking = true;
  turn = turn.then(() => askInTurn(slider));
  await turn;
  slider.isAsking = false;
  if (slider.isWaiting) { slider.isWaiting = false; ask(slider); }
}

async function askInTurn(slider) {
  try {
    const reply = await tried(slider);
    const told = await reply.json();
    show(slider, reply.ok ? told : { error: told.error });
  } catch {
    show(slider, { error: "The device did not answer." });
  }
}

async function tried(slider) {
  const signal = AbortSignal.timeout(ANSWER_MILLISECONDS); // in all: other sliders wait for their turn
  for (;;) {
    const on = slider.camera.tried ?? slider.told.on;
    const reply = await fetch(`/api/cameras/${slider.camera.name}/limit?on=${on}`, { signal });
    if (reply.status !== TOO_MANY) return reply;
    await new Promise((done) => { setTimeout(done, AGAIN_MILLISECONDS); });
  }
}

function show(slider, told) {
  const { answer } = slider;
  if (told.error || told.found === null) {
    setText(answer, told.error ?? "No scores are kept to say what it would have told.");
    return;
  }
  const { before, after, stay, come, vanish } = told.found;
  const isTried = Math.abs(told.on - slider.told.on) > 0.0005;
  const fates = [[stay, "stay"], [come, "come"], [vanish, "vanish"]].filter(([count]) => count).map(([count, word]) => `${count} ${word}${count === 1 ? "s" : ""}`);
  const words = [isTried ? ` instead of ${before}${fates.length ? `: ${fates.join(", ")}` : ""}.` : "."];
  if (told.per_day !== null) words.push(`That is ${short(told.per_day)} a day.`);
  words.push(`Scored: ${span(told.scored_seconds)} of the day.`);
  const events = make("strong", `${after} event${after === 1 ? "" : "s"} in the last day`);
  answer.replaceChildren(make("span", `At ${short(told.on)}: `), events, words.join(" "));
  answer.dataset.told = JSON.stringify({ on: told.on, ...told.found });
}

async function put(slider, on) {
  const told = await order(`/api/cameras/${slider.camera.name}/limit`, { on });
  if (told.error) {
    setText(slider.answer, told.error);
    return;
  }
  slider.camera.tried = null;
  await readLimit(slider);
  slider.redraw();
}
