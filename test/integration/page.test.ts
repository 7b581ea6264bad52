/**
 * The page in a browser, on the real HTTP server and a real view. Hunts a page that needs something from elsewhere or breaks
 * its own security policy, tiles that are not drawn or say another cell's numbers, pushes that do not arrive, a lost
 * connection that nobody is told of, and a layout that does not fit.
 */
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { chromium, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/core/clock.js';
import { silent } from '../../src/core/logger.js';
import { ROUTES } from '../../src/serve/http/routes.js';
import { startHttp } from '../../src/serve/http/server.js';
import { cityLive, cityRows } from '../support/city-picture.js';
import { MINUTE } from '../support/market.js';
import { RegionOutputs, shownBlock } from '../support/region-outputs.js';
import { until } from '../support/until.js';
import { nodeStatus, partitionStatus, startNode, subjects, type TestNode } from '../unit/serve/http/node.js';

const CHROMIUM = process.env['CHROMIUM'] ?? '/usr/bin/chromium';
const found = existsSync(CHROMIUM);
const missing = `There is no browser at ${CHROMIUM}: install Debian's package "chromium", or name another with CHROMIUM.`;
if (!found && process.env['CI'] !== 'true') console.warn(`The page is not tested. ${missing}`);

const FLAGS = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Runs in the browser, beside the page: what eyes would see there. */
const PROBE = `
  document.addEventListener('securitypolicyviolation', (event) => {
    console.error('policy: ' + event.violatedDirective + ' ' + event.blockedURI);
  });
  const painted = () => {
    const canvas = document.querySelector('canvas');
    const { width, height } = canvas;
    return { canvas, width, height, data: canvas.getContext('2d').getImageData(0, 0, width, height).data };
  };
  globalThis.probe = {
    /** The pixels of the map: colours as 'r,g,b' and how many. */
    colours() {
      const counts = {};
      const { data } = painted();
      for (let i = 0; i < data.length; i += 4) {
        const colour = data[i] + ',' + data[i + 1] + ',' + data[i + 2];
        counts[colour] = (counts[colour] ?? 0) + 1;
      }
      return counts;
    },
    /** Where on the page there is a piece of a colour. */
    placeOf(css) {
      const { canvas, width, height, data } = painted();
      const wanted = css.match(/[0-9]+/g).map(Number);
      const is = (x, y) => wanted.every((value, i) => data[(y * width + x) * 4 + i] === value);
      const { left, top } = canvas.getBoundingClientRect();
      for (let y = 0; y < height - 6; y++)
        for (let x = 0; x < width - 6; x++)
          if (is(x, y) && is(x + 6, y + 6) && is(x + 6, y) && is(x, y + 6))
            return { x: left + (x + 3) / devicePixelRatio, y: top + (y + 3) / devicePixelRatio };
      throw new Error('nothing is painted ' + css);
    },
    swatch: () => getComputedStyle(document.querySelector('#top li .swatch')).backgroundColor,
    list: (selector) =>
      Object.fromEntries(
        [...document.querySelectorAll(selector + ' div')].map((field) => [
          field.querySelector('dt').textContent,
          field.querySelector('dd').textContent,
        ]),
      ),
    layout() {
      const cut = (element) => element.scrollWidth > element.clientWidth + 1 && !element.closest('.unseen');
      const { width, height } = document.querySelector('canvas').getBoundingClientRect();
      return {
        wide: document.documentElement.scrollWidth,
        map: { width, height },
        cut: [...document.querySelectorAll('dt, dd, h1, h2, p')].filter(cut).map((one) => one.textContent),
      };
    },
  };
`;
/** The end of the last full minute when the tests began. */
const END = Math.floor(Date.now() / MINUTE) * MINUTE;

it.runIf(!found && process.env['CI'] === 'true')('has a browser', () => {
  throw new Error(missing);
});

describe.runIf(found)('the page', () => {
  let folder: string;
  let browser: BrowserContext;
  let node: TestNode;
  let outputs: RegionOutputs;
  let page: Page;
  /** What no page may do. */
  let faults: string[];

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'groundswell-page-'));
    browser = await chromium.launchPersistentContext(folder, {
      executablePath: CHROMIUM,
      headless: true,
      args: FLAGS,
      viewport: { width: 1280, height: 800 },
    });
  });

  afterAll(async () => {
    await browser.close();
    rmSync(folder, { recursive: true, force: true });
  });

  beforeEach(async () => {
    const status = (): ReturnType<typeof nodeStatus> => {
      const partitions = [0, 1].map((id) => partitionStatus(id, { watermarkMs: Date.now() - 5_000 - 300 }));
      return nodeStatus({ partitions });
    };
    node = await startNode({ status, facts: { surgeBounds: { min: 1, max: 3 } } });
    outputs = new RegionOutputs(node.log, subjects);
    faults = [];
    page = await browser.newPage();
    page.on('console', (message) => {
      if (['error', 'warning'].includes(message.type())) faults.push(`console: ${message.text()}`);
    });
    page.on('pageerror', (error) => faults.push(`error: ${error.message}`));
    page.on('request', (request) => {
      if (!request.url().startsWith(node.url)) faults.push(`asked for ${request.url()}`);
    });
    await page.addInitScript(PROBE);
  });

  afterEach(async () => {
    await page.close();
    await node.close();
  });

  async function city(): Promise<void> {
    for (let ago = 35; ago >= 0; ago--) {
      const watermarkMs = END - ago * MINUTE;
      outputs.say(0, { rows: cityRows(watermarkMs), watermarkMs });
      outputs.say(1, { watermarkMs });
    }
    outputs.say(0, { shown: [shownBlock(cityLive(END))], watermarkMs: END });
    const seq = await node.log.lastSeq();
    await until('the view has read it', () => node.view.readSeq >= seq);
  }

  const text = async (selector: string): Promise<string> => (await page.textContent(selector)) ?? '';
  const shows = (what: string, selector: string, wanted: RegExp, deadlineMs = 5_000): Promise<void> =>
    until(what, async () => wanted.test(await text(selector)), { deadlineMs, pollMs: 20 });

  async function open(): Promise<void> {
    await page.goto(node.url);
    await shows('it is live', '#status', /^live · \d\.\d s behind/);
  }

  const probe = <T>(what: string): Promise<T> => page.evaluate<T>(`probe.${what}`);
  const swatch = (): Promise<string> => probe('swatch()');
  const list = (selector: string): Promise<Record<string, string>> => probe(`list('${selector}')`);

  it('opens without a fault and needs nothing from elsewhere', async () => {
    await city();
    await open();
    await page.mouse.move(300, 300);
    await page.click('[data-tool=in]');
    await page.click('[data-tool=fit]');
    expect(await text('header .lead')).toMatch(/price multiplier/);
    expect(faults).toEqual([]);
  });

  it('draws a tile for each cell, in the colours of its legend', async () => {
    await city();
    await open();
    const counts = await probe<Record<string, number>>('colours()');
    const large = Object.values(counts).filter((count) => count > 100);
    expect(large.length).toBeGreaterThan(10);
    const [highest] = node.view.top(1);
    expect(await text('#top li .key')).toBe(highest!.key);
    expect(await text('#top li b')).toBe(`×${highest!.multiplier!.toFixed(1)}`);
    expect(Object.keys(counts)).toContain(/\d+, \d+, \d+/.exec(await swatch())![0].replaceAll(' ', ''));
    expect(await list('#totals dl')).toMatchObject({
      'open now': node.view.liveTotal()['open']!.toLocaleString('en'),
      'requests/min': node.view.total()!.features['requests']!.toLocaleString('en'),
    });
  });

  it('shows all numbers of the tile under the pointer, and holds the one that is clicked', async () => {
    await city();
    await open();
    const [highest] = node.view.top(1);
    const { x, y } = await probe<{ x: number; y: number }>(`placeOf('${await swatch()}')`);
    await page.mouse.move(x, y);
    await shows('a tile', '#cell .key', /^9q/);
    const cell = node.view.cell(await text('#cell .key'));
    expect(cell.multiplier).toBe(highest!.multiplier);
    expect(await text('#cell .multiplier')).toBe(`×${cell.multiplier!.toFixed(1)}`);
    expect(await list('#cell .live')).toMatchObject({
      open: String(cell.live?.['open'] ?? 0),
      'on trip': String(cell.live?.['busy'] ?? 0),
    });
    expect(await list('#cell .features')).toMatchObject({
      requests: String(cell.features['requests'] ?? 0),
      'app opens': String(cell.features['sessions'] ?? 0),
      drivers: String(cell.features['drivers'] ?? 0),
    });
    await page.mouse.move(640, 790);
    await until('nothing is under the pointer', () => page.isHidden('#cell .filled'), { pollMs: 20 });
    await page.mouse.click(x, y);
    await page.mouse.move(640, 790);
    await shows('the tile is held', '#cell .key', new RegExp(cell.key));
  });

  it('goes from tile to tile by the arrow keys, and says them', async () => {
    await city();
    await open();
    await page.focus('#tiles');
    await page.keyboard.press('ArrowRight');
    const [highest] = node.view.top(1);
    await shows('the highest first', '#cell .key', new RegExp(highest!.key));
    await page.keyboard.press('ArrowLeft');
    await until('another one', async () => (await text('#cell .key')) !== highest!.key, { pollMs: 20 });
    const key = await text('#cell .key');
    expect(node.view.cellKeys()).toContain(key);
    expect(await text('#spoken')).toMatch(new RegExp(`^${key}, multiplier`));
    await page.keyboard.press('Escape');
    await until('it is let go', () => page.isHidden('#cell .filled'), { pollMs: 20 });
  });

  it('shows a change within a second of its commit', async () => {
    await city();
    await open();
    await page.click('#top li button >> nth=0');
    await shows('the tile', '#cell .key', /^9q/);
    const key = await text('#cell .key');
    const pushed = async (open: number): Promise<boolean> => {
      const live = { ...cityLive(END)[key]!, open };
      outputs.say(0, { shown: [shownBlock({ [key]: live })], watermarkMs: END });
      const sentMs = performance.now();
      await shows('the new number', '#cell .live dd', new RegExp(String(open)));
      return performance.now() - sentMs < 1_000;
    };
    // A machine that is busy elsewhere may be slow once.
    expect((await pushed(4_321)) || (await pushed(4_322)) || (await pushed(4_323))).toBe(true);
    const rows = cityRows(END).map((row) =>
      row.key === key ? { ...row, rev: 1, surge: { multiplier: 1, raw: 0.9, model: 'm@1' } } : row,
    );
    outputs.say(0, { rows, watermarkMs: END });
    await shows('the new multiplier', '#cell .multiplier', /×1\.0/);
  });

  it('says that the connection is lost, and goes on by itself when it is back', async () => {
    await city();
    await open();
    const port = Number(new URL(node.url).port);
    await node.http.close();
    await shows('it is lost', '#status', /^connection lost, trying again$/);
    expect(await page.getAttribute('#status', 'data-state')).toBe('lost');
    const again = await startHttp({
      host: '127.0.0.1',
      port,
      logger: silent,
      clock: systemClock,
      facts: node.facts,
      routes: ROUTES,
    });
    try {
      await shows('it is live again', '#status', /^live/, 10_000);
    } finally {
      await again.close();
    }
  });

  it('explains itself while there is nothing', async () => {
    await open();
    await until('a word', () => page.isVisible('#empty'), { pollMs: 20 });
    expect(await text('#empty')).toMatch(/Nothing here yet/);
    await city();
    await until('it is gone', () => page.isHidden('#empty'), { pollMs: 20, deadlineMs: 5_000 });
  });

  it.each([
    [1280, 800, 'light'],
    [1280, 800, 'dark'],
    [390, 844, 'light'],
    [390, 844, 'dark'],
  ] as const)('fits %i × %i in %s', async (width, height, colorScheme) => {
    await city();
    await page.setViewportSize({ width, height });
    await page.emulateMedia({ colorScheme });
    await open();
    await page.click('#top li button >> nth=0');
    const layout = await probe<{ wide: number; map: { width: number; height: number }; cut: string[] }>(
      'layout()',
    );
    expect(layout.wide).toBe(width);
    expect(layout.map.width).toBeGreaterThan(width * 0.6);
    expect(layout.map.height).toBeGreaterThan(height * 0.4);
    expect(layout.cut).toEqual([]);
    expect(faults).toEqual([]);
  });
});
