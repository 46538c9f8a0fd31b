// The chart of one camera: error above, level with its limit below, on one axis of time.

const WINDOW_SECONDS = 120;
const ERROR_SHARE = 0.3; // of the height
const GAP = 14;
const LEFT = 4;
const RIGHT = 44; // room for the numbers beside the lines
const BOTTOM = 18;

/** Draw points [seconds, error, level, limit, isEvent] up to the device's time `now`, and a limit that is tried. */
export function drawChart(canvas, points, now, tried = null) {
  const ratio = window.devicePixelRatio || 1;
  const width = canvas.clientWidth;
  const height = canvas.clientHeight;
  if (!width || !height) return;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  pen.font = "12px system-ui, sans-serif";
  const style = getComputedStyle(canvas);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const shown = points.filter((point) => point[0] >= now - WINDOW_SECONDS);
  const x = (seconds) => LEFT + (width - LEFT - RIGHT) * (1 - (now - seconds) / WINDOW_SECONDS);
  const area = height - BOTTOM;
  const upper = { top: 4, bottom: area * ERROR_SHARE };
  const lower = { top: area * ERROR_SHARE + GAP, bottom: area };
  shadeEvents(pen, shown, x, area, colour("event"));
  drawTime(pen, now, x, area, height, colour);
  drawError(pen, shown, x, upper, colour);
  drawLevel(pen, shown, x, lower, colour, tried);
}

function shadeEvents(pen, shown, x, area, fill) {
  pen.fillStyle = fill;
  for (let index = 0; index < shown.length; index += 1) {
    if (!shown[index][4]) continue;
    const start = index;
    while (index + 1 < shown.length && shown[index + 1][4]) index += 1;
    pen.fillRect(x(shown[start][0]), 0, Math.max(x(shown[index][0]) - x(shown[start][0]), 2), area);
  }
}

function drawTime(pen, now, x, area, height, colour) {
  pen.fillStyle = colour("quiet");
  pen.strokeStyle = colour("line");
  pen.lineWidth = 1;
  pen.textAlign = "center";
  pen.beginPath();
  for (let tick = Math.ceil((now - WINDOW_SECONDS) / 30) * 30; tick <= now; tick += 30) {
    const at = Math.round(x(tick)) + 0.5;
    if (at < 28) continue;
    pen.moveTo(at, 0);
    pen.lineTo(at, area);
    pen.fillText(clock(tick), at, height - 4);
  }
  pen.moveTo(LEFT, area + 0.5);
  pen.lineTo(x(now), area + 0.5);
  pen.stroke();
}

function drawError(pen, shown, x, box, colour) {
  const highest = Math.max(2, ...shown.map((point) => point[1] ?? 0)) * 1.1;
  const y = (value) => box.bottom - (box.bottom - box.top) * (value / highest);
  drawLine(pen, shown, 1, x, y, colour("error"));
}

function drawLevel(pen, shown, x, box, colour, tried) {
  const limit = shown.length ? shown[shown.length - 1][3] : null;
  const bend = scaleFor(limit ?? 1);
  const highest = Math.max(1.5, bend(tried ?? 0) * 1.1, ...shown.map((point) => Math.max(bend(point[2] ?? 0), bend(point[3] ?? 0) * 1.3)));
  const y = (value) => box.bottom - (box.bottom - box.top) * (bend(Math.max(value, 0)) / highest);
  drawLine(pen, shown, 2, x, y, colour("level"), box.bottom);
  pen.setLineDash([5, 4]);
  drawLine(pen, shown, 3, x, y, colour("limit"));
  pen.setLineDash([2, 3]);
  if (tried !== null) drawTried(pen, x, y(tried), shown, tried, colour("quiet"));
  pen.setLineDash([]);
  if (limit === null) return;
  pen.fillStyle = colour("limit");
  pen.textAlign = "left";
  pen.fillText(short(limit), x(shown[shown.length - 1][0]) + 6, y(limit) + 4);
}

function drawTried(pen, x, y, shown, tried, stroke) {
  if (!shown.length) return;
  pen.strokeStyle = pen.fillStyle = stroke;
  pen.beginPath();
  pen.moveTo(x(shown[0][0]), y);
  pen.lineTo(x(shown[shown.length - 1][0]), y);
  pen.stroke();
  pen.textAlign = "left";
  pen.fillText(short(tried), x(shown[0][0]) + 4, y - 4);
}

/** Straight up to twice the limit, logarithmic above, so that a high peak leaves the limit in sight. */
function scaleFor(limit) {
  return (value) => (value <= 2 * limit ? value / limit : 2 + Math.log2(value / (2 * limit)));
}

function drawLine(pen, shown, column, x, y, stroke, floor) {
  pen.strokeStyle = stroke;
  pen.lineWidth = 1.6;
  pen.lineJoin = "round";
  for (const run of runsOf(shown, column)) {
    pen.beginPath();
    for (const point of run) pen.lineTo(x(point[0]), y(point[column]));
    pen.stroke();
    if (floor === undefined) continue;
    pen.lineTo(x(run[run.length - 1][0]), floor);
    pen.lineTo(x(run[0][0]), floor);
    pen.globalAlpha = 0.12;
    pen.fillStyle = stroke;
    pen.fill();
    pen.globalAlpha = 1;
  }
}

/** Stretches without a gap: where nothing was scored the line breaks off. */
function runsOf(shown, column) {
  const runs = [];
  let run = [];
  for (const point of shown) {
    const isMissing = point[column] === null;
    if (run.length && (isMissing || point[0] - run[run.length - 1][0] > 2)) {
      runs.push(run);
      run = [];
    }
    if (!isMissing) run.push(point);
  }
  return run.length ? [...runs, run] : runs;
}

/** A clock time of the browser's zone. */
export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
}

/** A number in as many digits as a person reads. */
export function short(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}
