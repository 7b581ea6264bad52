// The page: a map of the region's cells, live, and the numbers beside it. All of it comes from one stream of server-sent
// events, /v1/map/stream. In order: words, state, stream, map, hands, panels.

const $ = (selector, within = document) => within.querySelector(selector);
const tiles = $('#tiles');
const pen = tiles.getContext('2d');
const still = matchMedia('(prefers-reduced-motion: reduce)');
const MINUTE = 60_000;

// ── Words ──────────────────────────────────────────────────────────────────────────────────────────────────
const WORDS = {
  enroute: 'en route',
  busy: 'on trip',
  pickups: 'pick-ups',
  dropoffs: 'drop-offs',
  cancels: 'cancelled',
  completes: 'completed',
  sessions: 'app opens',
  open_s: 'seconds open',
  enroute_s: 'seconds en route',
  busy_s: 'seconds on trip',
  open_end: 'open at its end',
  waits: 'waits over',
  wait_s_mean: 'mean wait, s',
  wait_s_p50: 'median wait, s',
  wait_s_p90: 'p90 wait, s',
};
const PRESENT = ['open', 'enroute', 'busy'];
const COUNTED = ['requests', 'pickups', 'dropoffs', 'cancels', 'completes', 'sessions'];
const word = (name) => WORDS[name] ?? name;
const number = (value, digits = 0) => value?.toLocaleString('en', { maximumFractionDigits: digits }) ?? '–';
const times = (multiplier, digits = 1) => (multiplier === null ? '–' : `×${multiplier.toFixed(digits)}`);
const clockIn = (timeZone, second) =>
  new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second, hourCycle: 'h23', timeZone })
    .format;
const clocks = (zone) => ({ short: clockIn(zone), long: clockIn(zone, '2-digit') });
const utc = clocks('UTC');
let local = utc;
const between = ({ short }, startMs) => `${short(startMs)}–${short(startMs + MINUTE)}`;
const minuteOf = (startMs) => `${between(local, startMs)} (${between(utc, startMs)} UTC)`;
const duration = (ms) => (ms < 2 * MINUTE ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / MINUTE)} min`);

// ── State ──────────────────────────────────────────────────────────────────────────────────────────────────
let region = { name: '', timezone: 'UTC', cover: [], bounds: null };
/** The last watermark, total, liveTotal and rates that were sent. */
let figures = {};
/** By key: what the stream says of it, its borders, and `tint`: the multiplier as painted, on its way to the true one. */
const cells = new Map();
let hovered = null;
let pinned = null;
/** Of the colour scale: the model's bounds, or what there is when they are not known. */
let ends = { min: 1, max: 2 };
/** Tiles above the base price, the highest first. */
let ranked = [];
let waiting = false;

function refresh() {
  if (waiting) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    const all = [...cells.values()];
    ends = region.bounds ?? {
      min: 1,
      max: all.reduce((max, cell) => Math.max(max, cell.multiplier ?? 0), 2),
    };
    ranked = all.filter(({ multiplier }) => multiplier > ends.min);
    ranked.sort((a, b) => b.multiplier - a.multiplier || b.raw - a.raw || (a.key < b.key ? -1 : 1));
    paint();
    showPanels();
  });
}

function take(cell) {
  const known = cells.get(cell.key);
  if (cell.multiplier === null && cell.live === null) return cells.delete(cell.key);
  const tint = still.matches ? cell.multiplier : (known?.tint ?? cell.multiplier);
  return cells.set(cell.key, { ...cell, box: known?.box ?? boxOf(cell.key), tint });
}

/** Where a multiplier lies on the colour scale, 0 to 1. */
const share = (multiplier) => Math.min(1, Math.max(0, (multiplier - ends.min) / (ends.max - ends.min)));

// ── Stream ─────────────────────────────────────────────────────────────────────────────────────────────────
const RETRY_MS = [500, 1_000, 2_000, 4_000];
/** Figures come every second: without any for longer, the connection is taken for dead. */
const SILENT_MS = 6_000;
let source;
let failures = 0;
let heardMs = 0;

function connect() {
  heardMs = performance.now();
  source = new EventSource('/v1/map/stream');
  source.addEventListener('map', ({ data }) => {
    const { region: name, timezone, cover, bounds, ...head } = JSON.parse(data);
    region = { name, timezone, cover: cover.map(boxOf), bounds };
    local = clocks(timezone);
    cells.clear();
    failures = 0;
    hear(head);
  });
  source.addEventListener('change', ({ data }) => hear(JSON.parse(data)));
  source.addEventListener('end', lose);
  source.addEventListener('error', lose);
}

function hear({ cells: changed, ...rest }) {
  heardMs = performance.now();
  figures = rest;
  changed.forEach(take);
  const { rates, stale, watermark } = figures;
  const parts = ['live'];
  if (rates.lagMs < -2_000) parts.push(`${duration(-rates.lagMs)} ahead`);
  else if (rates.lagMs !== null) parts.push(`${duration(Math.max(0, rates.lagMs))} behind`);
  if (stale && watermark !== null) parts.push(`no minute closed since ${local.short(watermark)}`);
  if (rates.eventsPerSecond !== null) parts.push(`${number(rates.eventsPerSecond)} events/s`);
  tell('live', parts.join(' · '));
  if (changed.length > 0) keepInSight();
  else showTotals();
}

function lose() {
  source.close();
  tell('lost', 'connection lost, trying again');
  setTimeout(connect, RETRY_MS[Math.min(failures++, RETRY_MS.length - 1)]);
}

function tell(state, text) {
  if ($('#status').dataset.state !== state) $('#spoken').textContent = text;
  $('#status').dataset.state = state;
  $('#status').textContent = text;
}

setInterval(() => {
  const nowMs = Date.now();
  const city = region.timezone.split('/').at(-1).replaceAll('_', ' ');
  $('#clock').textContent = region.name && `${local.long(nowMs)} ${city} · ${utc.long(nowMs)} UTC`;
  if (source.readyState === EventSource.OPEN && performance.now() - heardMs > SILENT_MS) lose();
}, 1_000);

// ── Map ────────────────────────────────────────────────────────────────────────────────────────────────────
const ALPHABET = '0123456789bcdefghjkmnpqrstuvwxyz';
/** Where we look: the middle, degrees, and CSS pixels per degree of latitude. */
let look = { lon: 0, lat: 0, scale: 100 };
/** True until somebody zooms or drags: until then the map keeps all tiles in sight by itself. */
let follows = true;
let colours = {};

/** Borders of a geohash, degrees. */
function boxOf(hash) {
  const lon = [-180, 180];
  const lat = [-90, 90];
  let [halved, other] = [lon, lat];
  for (const char of hash) {
    for (let bit = 16; bit > 0; bit >>= 1) {
      halved[ALPHABET.indexOf(char) & bit ? 0 : 1] = (halved[0] + halved[1]) / 2;
      [halved, other] = [other, halved];
    }
  }
  return { hash, west: lon[0], east: lon[1], south: lat[0], north: lat[1] };
}

const middleOf = ({ west, east, south, north }) => [(west + east) / 2, (south + north) / 2];
// A degree of longitude is shorter than one of latitude, by this.
const squeeze = (lat = look.lat) => Math.cos((lat * Math.PI) / 180);
const toX = (lon) => tiles.clientWidth / 2 + (lon - look.lon) * squeeze() * look.scale;
const toY = (lat) => tiles.clientHeight / 2 - (lat - look.lat) * look.scale;
const toLon = (x) => look.lon + (x - tiles.clientWidth / 2) / (squeeze() * look.scale);
const toLat = (y) => look.lat - (y - tiles.clientHeight / 2) / look.scale;

/** The look that shows nearly all tiles: few that lie far out are not worth making all others small. */
function wholeLook() {
  const boxes = cells.size > 0 ? [...cells.values()].map(({ box }) => box) : region.cover;
  const extent = (low, high) => {
    const [from, to] = [low, high].map((name) => boxes.map((box) => box[name]).sort((a, b) => a - b));
    const tenth = Math.round((boxes.length - 1) / 10);
    const fence = 0.6 * (to.at(-1 - tenth) - from[tenth]);
    return [Math.max(from[0], from[tenth] - fence), Math.min(to.at(-1), to.at(-1 - tenth) + fence)];
  };
  const [west, east] = extent('west', 'east');
  const [south, north] = extent('south', 'north');
  const [lon, lat] = middleOf({ west, east, south, north });
  const wide = (tiles.clientWidth - 36) / ((east - west) * squeeze(lat));
  const high = (tiles.clientHeight - 36) / (north - south);
  return { lon, lat, scale: Math.min(wide, high, 8_000) };
}

function keepInSight(atOnce = false) {
  refresh();
  if (!follows || region.cover.length === 0 || tiles.clientWidth === 0) return;
  const better = wholeLook();
  const moved = Math.hypot(better.lon - look.lon, better.lat - look.lat) * better.scale;
  // A few tiles more or less are no reason to move the ground under somebody's eyes.
  if (atOnce || moved > 40 || Math.abs(better.scale / look.scale - 1) > 0.1) look = better;
}

function readColours() {
  const style = getComputedStyle(document.documentElement);
  const read = (name) => style.getPropertyValue(`--${name}`).trim();
  colours = Object.fromEntries(['land', 'line', 'ink', 'faint', 'paper'].map((name) => [name, read(name)]));
  const parse = (hex) => [1, 3, 5].map((i) => Number.parseInt(hex.slice(i, i + 2), 16));
  const ramp = [0, 1, 2, 3, 4, 5].map((i) => parse(read(`ramp-${i}`)));
  colours.shades = Array.from({ length: 256 }, (_, i) => {
    const at = (i / 255) * (ramp.length - 1);
    const [low, high] = [ramp[Math.floor(at)], ramp[Math.ceil(at)]];
    return `rgb(${low.map((value, c) => Math.round(value + (high[c] - value) * (at % 1))).join(' ')})`;
  });
  refresh();
}

const shadeOf = (multiplier) => colours.shades[Math.round(share(multiplier) * 255)];

/** Brings a painted multiplier nearer to the true one; false when it is there. */
function ease(cell) {
  const { tint, multiplier } = cell;
  const there = tint === null || multiplier === null || Math.abs(multiplier - tint) < 0.01;
  cell.tint = there ? multiplier : tint + (multiplier - tint) * 0.15;
  return !there;
}

function paint() {
  const density = devicePixelRatio || 1;
  const [wide, high] = [Math.round(tiles.clientWidth * density), Math.round(tiles.clientHeight * density)];
  if (tiles.width !== wide || tiles.height !== high) Object.assign(tiles, { width: wide, height: high });
  pen.clearRect(0, 0, wide, high);
  // On whole device pixels: neighbours share an edge, without a seam and without a blur.
  const [perLon, perLat] = [squeeze() * look.scale * density, look.scale * density];
  const x = (lon) => Math.round(wide / 2 + (lon - look.lon) * perLon);
  const y = (lat) => Math.round(high / 2 - (lat - look.lat) * perLat);
  const place = ({ west, east, south, north }) => [x(west), y(north), x(east) - x(west), y(south) - y(north)];
  const outline = (colour, width, [left, top, w, h], out) => {
    Object.assign(pen, { strokeStyle: colour, lineWidth: width });
    pen.strokeRect(left - out, top - out, w + 2 * out, h + 2 * out);
  };
  pen.font = `${11 * density}px ui-monospace, monospace`;
  for (const box of region.cover) {
    const [left, top, width, height] = place(box);
    pen.fillStyle = colours.land;
    pen.fillRect(left, top, width, height);
    outline(colours.line, density, [left, top, width, height], 0);
    pen.fillStyle = colours.faint;
    if (width > 60 * density) pen.fillText(box.hash, left + 6 * density, top + 15 * density);
  }
  const gap = Math.max(1, Math.round(density * 0.75));
  let moving = false;
  for (const cell of cells.values()) {
    if (ease(cell)) moving = true;
    const [left, top, width, height] = place(cell.box);
    if (left > wide || top > high || left + width < 0 || top + height < 0) continue;
    const space = width > 5 * density ? gap : 0;
    if (cell.tint === null) {
      pen.globalAlpha = 0.55;
      outline(colours.faint, gap, [left, top, width - space, height - space], -gap / 2);
      pen.globalAlpha = 1;
      continue;
    }
    const colour = shadeOf(cell.tint);
    pen.fillStyle = colour;
    pen.fillRect(left, top, width - space, height - space);
    if (width < 34 * density || cell.multiplier <= ends.min) continue;
    const [r, g, b] = colour.match(/\d+/g);
    pen.fillStyle = 0.3 * r * r + 0.59 * g * g + 0.11 * b * b > 16_500 ? '#15171b' : '#fff';
    pen.font = `${Math.min(13 * density, 7 * density + width / 12)}px system-ui, sans-serif`;
    const text = cell.tint.toFixed(1);
    pen.fillText(text, left + (width - pen.measureText(text).width) / 2, top + height / 2 + 4.5 * density);
  }
  for (const key of new Set([pinned, hovered].filter((key) => key !== null))) {
    const [left, top, width, height] = place(boxOf(key));
    outline(colours.paper, 2 * density, [left, top, width - gap, height - gap], 3 * density);
    outline(colours.ink, 2 * density, [left, top, width - gap, height - gap], density);
  }
  if (moving) refresh();
}

// ── Hands ──────────────────────────────────────────────────────────────────────────────────────────────────
/** Where each finger, or the pressed mouse, was last. */
const fingers = new Map();
let apart = null;
let travelled = 0;

function zoom(factor, x = tiles.clientWidth / 2, y = tiles.clientHeight / 2) {
  follows = false;
  const scale = Math.min(60_000, Math.max(20, look.scale * factor));
  const [lon, lat] = [toLon(x), toLat(y)];
  const kept = look.scale / scale;
  look = { lon: lon + (look.lon - lon) * kept, lat: lat + (look.lat - lat) * kept, scale };
  refresh();
}

function cellAt(x, y) {
  const [lon, lat] = [toLon(x), toLat(y)];
  for (const { key, box } of cells.values())
    if (lon > box.west && lon <= box.east && lat > box.south && lat <= box.north) return key;
  return null;
}

function drag(id, x, y) {
  const [fromX, fromY] = fingers.get(id);
  fingers.set(id, [x, y]);
  travelled += Math.hypot(x - fromX, y - fromY);
  if (fingers.size === 2) {
    const [[x1, y1], [x2, y2]] = [...fingers.values()];
    const distance = Math.hypot(x1 - x2, y1 - y2);
    if (apart !== null) zoom(distance / apart, (x1 + x2) / 2, (y1 + y2) / 2);
    apart = distance;
  } else if (travelled > 4) {
    follows = false;
    look = { ...look, lon: look.lon + toLon(fromX) - toLon(x), lat: look.lat + toLat(fromY) - toLat(y) };
  }
}

tiles.addEventListener('wheel', (event) => {
  event.preventDefault();
  zoom(Math.exp(event.deltaY * (event.deltaMode === 1 ? -0.03 : -0.0015)), event.offsetX, event.offsetY);
});
tiles.addEventListener('pointerdown', ({ pointerId, offsetX, offsetY }) => {
  tiles.setPointerCapture(pointerId);
  fingers.set(pointerId, [offsetX, offsetY]);
  travelled = 0;
});
tiles.addEventListener('pointermove', ({ pointerId, offsetX, offsetY }) => {
  if (fingers.has(pointerId)) drag(pointerId, offsetX, offsetY);
  else hovered = cellAt(offsetX, offsetY);
  refresh();
});
const letGo = ({ type, pointerId, offsetX, offsetY }) => {
  const key = cellAt(offsetX, offsetY);
  if (type === 'pointerup' && travelled <= 4) pinned = key === pinned ? null : key;
  fingers.delete(pointerId);
  apart = null;
  refresh();
};
for (const type of ['pointerup', 'pointercancel']) tiles.addEventListener(type, letGo);
tiles.addEventListener('pointerleave', () => {
  hovered = null;
  refresh();
});

const STEPS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
const TOOLS = { in: () => zoom(1.5), out: () => zoom(1 / 1.5), fit: () => keepInSight((follows = true)) };
const KEYS = { '+': 'in', '=': 'in', '-': 'out', 0: 'fit' };
tiles.addEventListener('keydown', (event) => {
  const { key, ctrlKey, metaKey, altKey } = event;
  const known = key in STEPS || key in KEYS || key === 'Escape';
  if (ctrlKey || metaKey || altKey || !known) return;
  event.preventDefault();
  if (key in STEPS) step(...STEPS[key]);
  else if (key in KEYS) TOOLS[KEYS[key]]();
  else pinned = null;
  refresh();
});
$('.tools').addEventListener('click', ({ target }) => TOOLS[target.dataset.tool]?.());

/** To the nearest tile in a direction; without one to start from, to the one with the highest multiplier. */
function step(dx, dy) {
  const from = cells.get(pinned);
  if (from === undefined) return pin(ranked[0]?.key ?? cells.keys().next().value);
  const [lon, lat] = middleOf(from.box);
  let best = pinned;
  let least = Infinity;
  for (const { key, box } of cells.values()) {
    const [x, y] = [(middleOf(box)[0] - lon) * squeeze(), middleOf(box)[1] - lat];
    const ahead = x * dx + y * dy;
    const aside = Math.abs(x * dy) + Math.abs(y * dx);
    const far = ahead + 3 * aside;
    if (ahead > 1e-9 && aside < 2 * ahead && far < least) [best, least] = [key, far];
  }
  return pin(best);
}

/** Holds a tile, brings it into sight and says it aloud. */
function pin(key) {
  const cell = cells.get(key);
  if (cell === undefined) return;
  [pinned, hovered] = [key, null];
  const [lon, lat] = middleOf(cell.box);
  const out = (at, size) => at < 20 || at > size - 20;
  if (out(toX(lon), tiles.clientWidth) || out(toY(lat), tiles.clientHeight)) look = { ...look, lon, lat };
  const present = PRESENT.map((name) => `${cell.live?.[name] ?? 0} ${word(name)}`);
  $('#spoken').textContent = `${key}, multiplier ${cell.multiplier ?? 'none'}, ${present.join(', ')}`;
  refresh();
}

// ── Panels ─────────────────────────────────────────────────────────────────────────────────────────────────
/** Writes a list of [label, value]; its nodes stay as long as the labels do. */
function write(list, pairs) {
  const labels = pairs.map(([label]) => label);
  if (list.dataset.labels !== labels.join()) {
    list.dataset.labels = labels.join();
    list.innerHTML = '<div><dt></dt><dd></dd></div>'.repeat(labels.length);
    labels.forEach((label, i) => ($('dt', list.children[i]).textContent = label));
  }
  pairs.forEach(([, value], i) => ($('dd', list.children[i]).textContent = value));
}

/** A line of multipliers in steps of a minute, up from the base price; a minute without a row is a gap. */
function drawLine(svg, spark) {
  const { width, height } = svg.viewBox.baseVal;
  let d = '';
  spark.forEach((value, i) => {
    if (value === null) return;
    const x = ((30 - spark.length + i) * width) / 30;
    const y = height - 2 - share(value) * (height - 4);
    d += `${(spark[i - 1] ?? null) === null ? 'M' : 'L'}${x} ${y.toFixed(1)}h${width / 30}`;
  });
  svg.lastElementChild.setAttribute('d', d);
}

function paintSwatch(swatch, multiplier) {
  swatch.style.background = multiplier === null ? 'none' : shadeOf(multiplier);
  swatch.style.borderColor = multiplier === null ? colours.faint : 'transparent';
}

function showPanels() {
  $('#region').textContent = region.name;
  $('#empty').hidden = cells.size > 0 || region.name === '';
  $('.ramp b').textContent = times(ends.min);
  $('.ramp b:last-child').textContent = times(ends.max);
  const perKm = look.scale / 111.2;
  const km = [0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50].findLast((length) => length * perKm < 90) ?? 0.1;
  $('.scale i').style.width = `${km * perKm}px`;
  $('.scale span').textContent = km < 1 ? `${km * 1000} m` : `${km} km`;
  showTotals();
  showTop();
  showCell();
}

function showTotals() {
  const { total, liveTotal = {} } = figures;
  const features = total?.features ?? {};
  const priced = [...cells.values()].filter(({ multiplier }) => multiplier !== null);
  const sum = priced.reduce((all, { multiplier }) => all + multiplier, 0);
  $('#totals small').textContent = total ? `minute ${minuteOf(total.start)}` : '';
  write($('#totals dl'), [
    ...PRESENT.map((name) => [`${word(name)} now`, number(liveTotal[name] ?? 0)]),
    ['requests/min', number(features.requests)],
    ['pick-ups/min', number(features.pickups)],
    ['mean wait, s', number(features.wait_s_mean)],
    ['mean multiplier', times(priced.length > 0 ? sum / priced.length : null, 2)],
    ['tiles above base', number(ranked.length)],
    ['tiles with a price', number(priced.length)],
  ]);
}

const template = $('#top template');
const rows = Array.from({ length: 6 }, () => {
  const row = template.content.firstElementChild.cloneNode(true);
  row.addEventListener('click', () => pin(row.dataset.key));
  template.parentNode.append(row);
  return row;
});

function showTop() {
  rows.forEach((row, i) => {
    row.hidden = i >= ranked.length;
    if (row.hidden) return;
    const { key, multiplier, spark } = ranked[i];
    row.dataset.key = key;
    $('button', row).setAttribute('aria-current', key === pinned);
    $('.key', row).textContent = key;
    $('b', row).textContent = times(multiplier);
    paintSwatch($('.swatch', row), multiplier);
    drawLine($('svg', row), spark);
  });
  $('#top .hint').hidden = ranked.length > 0;
}

const NOTHING = { multiplier: null, start: null, features: {}, live: null, spark: [] };

function showCell() {
  const key = hovered ?? pinned;
  const panel = $('#cell .filled');
  panel.hidden = key === null;
  $('#cell .hint').hidden = key !== null;
  if (key === null) return;
  const { multiplier, start, features, live, spark } = cells.get(key) ?? NOTHING;
  paintSwatch($('.swatch', panel), multiplier);
  $('.key', panel).textContent = key;
  $('.what', panel).textContent = multiplier !== null ? '' : live ? 'no price yet' : 'nothing here now';
  $('.multiplier', panel).textContent = times(multiplier);
  drawLine($('.line', panel), spark);
  const untilMs = start === null ? figures.watermark : start + MINUTE;
  $('.from', panel).textContent = untilMs ? local.short(untilMs - 30 * MINUTE) : '';
  $('.until', panel).textContent = untilMs ? local.short(untilMs) : '';
  // Counters that were shown in a minute before say nothing of this one.
  const running = live?.minute === figures.liveTotal.minute ? live : {};
  const present = PRESENT.map((name) => [word(name), live?.[name] ?? 0]);
  const counted = COUNTED.slice(0, 3).map((name) => [word(name), running?.[name] ?? 0]);
  write($('.live', panel), [...present, ...counted]);
  $('.minute', panel).textContent = start === null ? 'No row of the last minute' : minuteOf(start);
  const names = new Set([...COUNTED, ...Object.keys(features)]);
  const pairs = [...names].map((name) => [word(name), number(features[name] ?? 0, 1)]);
  write($('.features', panel), start === null ? [] : pairs);
}

new ResizeObserver(() => keepInSight(true)).observe(tiles);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', readColours);
readColours();
connect();
