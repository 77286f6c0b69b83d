import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Browser, chromium, type Page } from 'playwright-core';

const INSTALL_MS = 300_000;
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
  return await chromium.launch({ executablePath: await installedBrowser(), args: FLAGS, timeout: OPEN_MS });
}

async function installedBrowser(): Promise<string> {
  const script = join(import.meta.dirname, '../../scripts/system/browser.mjs');
  const install = spawn(process.execPath, [script], { timeout: INSTALL_MS, stdio: ['ignore', 'pipe', 'inherit'] });
  const [path] = await Promise.all([text(install.stdout), once(install, 'close')]);
  if (install.exitCode !== 0) throw new Error(`no browser: ${script} ended with ${install.exitCode ?? install.signalCode}`);
  return path.trim();
}

/** Chromium drops what it loads when a network of the machine comes or goes, as each instance's does. */
const NETWORK_CHANGED = 'ERR_NETWORK_CHANGED';
const TRIES = 5;

/** Opens a page and looks at it; from the start again where a network changed. @throws Error with what went wrong in the page */
export async function lookAt(browser: Browser, url: string, look: (opened: OpenedPage) => Promise<void>): Promise<void> {
  for (let left = TRIES - 1; ; left--) {
    const context = await browser.newContext();
    const faults: string[] = [];
    try {
      await look(await openPage(await context.newPage(), url, faults));
      return;
    } catch (error) {
      const what = `${url}: ${(error as Error).message}; faults of the page: ${faults.join(', ')}`;
      if (left === 0 || !what.includes(NETWORK_CHANGED)) throw new Error(what, { cause: error });
    } finally {
      await context.close();
    }
  }
}

/** A page, and everything that went wrong in it: answers that are no success, requests that failed, errors of its scripts. */
export interface OpenedPage {
  page: Page;
  faults: string[];
  /** Every answer that it got, with the redirects on the way. */
  answers: { status: number; url: string }[];
}

async function openPage(page: Page, url: string, faults: string[]): Promise<OpenedPage> {
  page.setDefaultTimeout(OPEN_MS);
  const answers: OpenedPage['answers'] = [];
  page.on('response', (response) => {
    answers.push({ status: response.status(), url: response.url() });
    if (response.status() >= 400) faults.push(`${response.status()} ${response.url()}`);
  });
  page.on('requestfailed', (request) => faults.push(`${request.failure()?.errorText ?? 'failed'} ${request.url()}`));
  // What a browser refuses though it came, as a style sheet of the wrong type.
  page.on('console', (message) => {
    if (message.type() === 'error' && !message.text().startsWith('Failed to load resource')) faults.push(message.text());
  });
  page.on('pageerror', (error) => faults.push(error.message));
  await page.goto(url, { waitUntil: 'networkidle' });
  return { page, faults, answers };
}

/** As the browser shows it. */
export function colourOf(page: Page, selector: string): Promise<string> {
  return page.evaluate(`getComputedStyle(document.querySelector(${JSON.stringify(selector)})).color`);
}

/** 0 where a picture did not load. */
export function widthOf(page: Page, selector: string): Promise<number> {
  return page.evaluate(`document.querySelector(${JSON.stringify(selector)}).naturalWidth`);
}
