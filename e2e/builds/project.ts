import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { folderTar } from '@kiln/testing/folder-tar';
import { until } from '@kiln/testing/until';
import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { lookAt, startBrowser } from '../support/browser.js';

/** The two ways to a function: a path of the platform's host, and a host of its own. */
export const WAYS = ['path', 'host'] as const;
export type Way = (typeof WAYS)[number];

export function urlOf(way: Way, name: string, path = '/'): string {
  const { data } = cluster.router.ports;
  return way === 'path' ? `http://localhost:${data}/fn/${name}${path}` : `http://${name}.localhost:${data}${path}`;
}

const NIGHTLY = process.env['KILN_E2E_ALL'] === '1';

/** With the install of a browser, and of what a file needs besides, where there is none. */
const SET_UP_MS = 900_000;
/** A framework's install and its builds, two at a time. */
const LIVE_MS = 900_000;

/** Of the file that runs. */
export let cluster: Cluster;
export let browser: Browser;

/** Gives all tests of a file one `cluster` and one `browser`. */
export function withClusterAndBrowser(before: () => Promise<unknown> = async () => undefined): void {
  beforeAll(async () => {
    await before();
    cluster = await startCluster();
    browser = await startBrowser();
  }, SET_UP_MS);
  afterAll(async () => {
    await browser?.close();
    await cluster?.stop();
  });
}

/** A folder as a tool of its kind lays it out, and a change that somebody makes in it. */
export interface RealProject {
  name: string;
  folder: string;
  /** Left to the nightly run: each run lives through another project that the same detector builds. */
  nightly?: true;
  /** What the build says it found. */
  evidence: RegExp;
  shows: RegExp;
  /** Paths that the page loads by itself when it is opened. */
  assets?: RegExp[];
  /** Looks at more of the opened page. */
  look?(page: Page, opened: { way: Way; changed: boolean }): Promise<void>;
  /** What the unchanged page asks for by path in vain, none of it a part of the page. */
  vainByPath?: RegExp;
  /** The second version: what is changed, and what shows then. */
  files: Record<string, string>;
  showsThen: RegExp;
}

/** One file of a folder with something else in it. */
export function changed(folder: string, file: string, from: string, to: string): Record<string, string> {
  return { [file]: readFileSync(join(folder, file), 'utf8').replace(from, to) };
}

/** A test for each, side by side. */
export function itLives(projects: readonly RealProject[]): void {
  for (const project of projects) {
    describe.skipIf(project.nightly && !NIGHTLY).concurrent(project.name, () => {
      it('is deployed, shows in a browser, is deployed again with a change, and rolled back', () => liveThrough(project), LIVE_MS);
    });
  }
}

/** Opened each time by path and by host, as for the first time. */
async function liveThrough(project: RealProject): Promise<void> {
  const { name, files } = project;
  expect(await deploy(project, {}, 1)).toMatch(project.evidence);
  await openBothWays(project, false);
  await deploy(project, files, 2);
  await openBothWays(project, true);
  await cluster.client.rollback(name);
  await openBothWays(project, false);
}

/** @returns what the build said */
async function deploy({ name, folder }: RealProject, files: Record<string, string>, version: number): Promise<string> {
  const lines: string[] = [];
  const done = await cluster.client.deploy(name, folderTar(folder, { name, files }), (line) => lines.push(line));
  expect([done.version, done.changed], lines.join('\n')).toEqual([version, true]);
  return lines.join('\n');
}

async function openBothWays(project: RealProject, changed: boolean): Promise<void> {
  await Promise.all(WAYS.map((way) => openOneWay(project, { way, changed })));
}

async function openOneWay(project: RealProject, opened: { way: Way; changed: boolean }): Promise<void> {
  const { way, changed } = opened;
  const url = urlOf(way, project.name);
  // By path as one types it: the slash is for the router to add, or nothing that is named relative to the page would be found.
  await lookAt(browser, way === 'path' ? url.slice(0, -1) : url, async ({ page, faults, answers }) => {
    await page
      .locator('body')
      .filter({ hasText: changed ? project.showsThen : project.shows })
      .waitFor({ state: 'attached' });
    const loaded = () => answers.filter(({ status }) => status === 200).map((answer) => answer.url);
    const vain = way === 'path' && !changed ? project.vainByPath : undefined;
    const inNeed = () => faults.filter((fault) => vain?.test(fault) !== true);
    for (const asset of project.assets ?? []) {
      await until(`${url} loads ${asset}`, () => inNeed().length > 0 || loaded().some((from) => asset.test(from)));
    }
    expect(inNeed(), `${project.name} by ${way}`).toEqual([]);
    await project.look?.(page, opened);
    // A page that is left gives up what it was fetching ahead.
    expect(inNeed().filter((fault) => !fault.startsWith('net::ERR_ABORTED'))).toEqual([]);
    // Nothing came from anywhere but the function itself.
    expect(loaded().filter((from) => /^https?:/.test(from) && !from.startsWith(url))).toEqual([]);
  });
}
