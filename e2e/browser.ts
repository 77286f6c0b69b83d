import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { type Browser, chromium, type Page } from 'playwright-core';

const INSTALL_MS = 200_000;
const OPEN_MS = 30_000;
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

/** A real browser; where there is none, it is installed first. */
export async function startBrowser(): Promise<Browser> {
  const script = join(import.meta.dirname, '../scripts/browser.mjs');
  const path = execFileSync(process.execPath, [script], { encoding: 'utf8', timeout: INSTALL_MS, stdio: ['ignore', 'pipe', 'inherit'] });
  return await chromium.launch({ executablePath: path.trim(), args: FLAGS, timeout: OPEN_MS });
}

/** A page, and everything that went wrong in it: answers that are no success, requests that failed, errors of its scripts. */
export interface Opened {
  page: Page;
  faults: string[];
}

export async function openPage(browser: Browser, url: string): Promise<Opened> {
  const context = await browser.newContext();
  const page = await context.newPage();
  page.setDefaultTimeout(OPEN_MS);
  const faults: string[] = [];
  page.on('response', (response) => {
    if (response.status() >= 400) faults.push(`${response.status()} ${response.url()}`);
  });
  page.on('requestfailed', (request) => faults.push(`failed ${request.url()}`));
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(url, { waitUntil: 'networkidle' });
  return { page, faults };
}

/** As the browser shows it. */
export function colourOf(page: Page, selector: string): Promise<string> {
  return page.evaluate(`getComputedStyle(document.querySelector(${JSON.stringify(selector)})).color`);
}

/** 0 where a picture did not load. */
export function widthOf(page: Page, selector: string): Promise<number> {
  return page.evaluate(`document.querySelector(${JSON.stringify(selector)}).naturalWidth`);
}
