import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { folderTar } from '@kiln/testing/folder-tar';
import { until } from '@kiln/testing/until';
import type { Browser, Page } from 'playwright-core';
import { expect } from 'vitest';
import { openPage, startBrowser } from './browser.js';

/** The two ways to a function: a path of the platform's host, and a host of its own. */
export const WAYS = ['path', 'host'] as const;
export type Way = (typeof WAYS)[number];

export const urlOf = ({ router }: Cluster, way: Way, name: string, path = '/') =>
  way === 'path' ? `http://localhost:${router.ports.data}/fn/${name}${path}` : `http://${name}.localhost:${router.ports.data}${path}`;

/** Both, or neither. */
export async function startBoth(): Promise<[Cluster, Browser]> {
  const cluster = await startCluster();
  try {
    return [cluster, await startBrowser()];
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** A folder as a tool of its kind lays it out, and a change that somebody makes in it. */
export interface Project {
  name: string;
  folder: string;
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

/** Deployed, opened, deployed again with a change, rolled back; opened each time by path and by host, as for the first time. */
export async function liveThrough(cluster: Cluster, browser: Browser, project: Project): Promise<void> {
  const { name, files } = project;
  expect(await deploy(cluster, project, {}, 1)).toMatch(project.evidence);
  await openBothWays(cluster, browser, project, false);
  await deploy(cluster, project, files, 2);
  await openBothWays(cluster, browser, project, true);
  await cluster.client.rollback(name);
  await openBothWays(cluster, browser, project, false);
}

/** @returns what the build said */
async function deploy(cluster: Cluster, { name, folder }: Project, files: Record<string, string>, version: number): Promise<string> {
  const lines: string[] = [];
  const done = await cluster.client.deploy(name, folderTar(folder, { name, files }), (line) => lines.push(line));
  expect([done.version, done.changed], lines.join('\n')).toEqual([version, true]);
  return lines.join('\n');
}

async function openBothWays(cluster: Cluster, browser: Browser, project: Project, changed: boolean): Promise<void> {
  await Promise.all(WAYS.map((way) => openOneWay(cluster, browser, project, { way, changed })));
}

async function openOneWay(cluster: Cluster, browser: Browser, project: Project, opened: { way: Way; changed: boolean }): Promise<void> {
  const { way, changed } = opened;
  const url = urlOf(cluster, way, project.name);
  // By path as one types it: the slash is for the router to add, or nothing that is named relative to the page would be found.
  const { page, faults, answers } = await openPage(browser, way === 'path' ? url.slice(0, -1) : url);
  try {
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
  } finally {
    await page.context().close();
  }
}
