import { execFileSync } from 'node:child_process';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Cluster, startCluster } from '@kiln/testing/cluster';
import { removeRules } from '@kiln/testing/firewall';
import { until } from '@kiln/testing/until';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorOf, fixture, nodeOf } from '../support/inside.js';

const folder = mkdtempSync(join(tmpdir(), 'kiln-e2e-firewall-'));
const IPTABLES = 'iptables';
const broken = (node: string) => join(folder, `broken-${node}`);
const SOON_MS = 10_000;

let cluster: Cluster;
let image: string;

beforeAll(async () => {
  const path = String(process.env['PATH']);
  for (const program of ['iptables', 'iptables-restore']) {
    const real = execFileSync('which', [program], { encoding: 'utf8' }).trim();
    writeFileSync(
      join(folder, program),
      `#!/bin/sh\n[ -e "${folder}/broken-$KILN_NODE_ID" ] && { echo "no rules today" >&2; exit 3; }\nexec ${real} "$@"\n`,
    );
    chmodSync(join(folder, program), 0o755);
  }
  cluster = await startCluster({ nodes: 2, env: { PATH: `${folder}:${path}` } });
  ({ image } = await cluster.deploy(fixture('evaluate'), { name: 'first', config: { idleTimeout: 1000 } }));
});
afterAll(async () => {
  await cluster?.stop();
  rmSync(folder, { recursive: true });
});

const rulesOf = (node: string) =>
  execFileSync(IPTABLES, ['-w', '5', '-S'], { encoding: 'utf8' })
    .split('\n')
    .filter((line) => line.startsWith('-A ') && line.includes(`"kiln:${node}"`));

const warningsOf = async (node: string) => (await cluster.client.nodes.list()).find(({ id }) => id === node)?.warnings.join() ?? '';

/** A function that has no instance, at home on this node. */
async function coldAt(node: string): Promise<string> {
  for (let i = 1; i <= 40; i += 1) {
    const name = `at-${node.slice(-1)}-${i}`;
    await cluster.addVersion(name, image, { idleTimeout: 1000 });
    if (String(nodeOf(await cluster.call(`/fn/${name}/?code=return%201`))) !== node) continue;
    await until('it has no instance', async () => (await cluster.containers()).every((owned) => owned.function !== name));
    return name;
  }
  throw new Error(`none of 40 functions is at home on ${node}`);
}

describe('firewall rules that somebody flushed', () => {
  it('stand again within seconds', async () => {
    const [node] = cluster.nodes as [string];
    const before = rulesOf(node).length;
    expect(before).toBeGreaterThan(4);
    removeRules([node]);
    expect(rulesOf(node)).toEqual([]);
    await until('they stand again', () => rulesOf(node).length >= before, SOON_MS);
  });

  it('and cannot be set again keep instances from their node, which says so, until they stand; versions are proved elsewhere', async () => {
    const [node, other] = cluster.nodes as [string, string];
    const name = await coldAt(node);
    await until('nothing runs', async () => (await cluster.containers()).length === 0);
    writeFileSync(broken(node), '');
    removeRules([node]);
    await until('the node warns', async () => (await warningsOf(node)).includes('no rules today'), SOON_MS);
    expect(String(nodeOf(await cluster.call(`/fn/${name}/?code=return%201`)))).toBe(other);
    // Each is at home on one of the two.
    for (let i = 1; i <= 5; i += 1) await cluster.addVersion(`meanwhile-${i}`, image, { idleTimeout: 1000 });
    writeFileSync(broken(other), '');
    await until('the other warns', async () => (await warningsOf(other)).includes('no rules today'), SOON_MS);
    const refused = await cluster.call('/fn/first/?code=return%201');
    expect(refused.status, refused.text).toBe(503);
    expect(errorOf(refused)).toBe('no_capacity');
    expect(refused.text).toContain('firewall rules');
    rmSync(broken(node));
    rmSync(broken(other));
    await until('neither warns', async () => !`${await warningsOf(node)}${await warningsOf(other)}`.includes('no rules today'), SOON_MS);
    expect(rulesOf(node).length).toBeGreaterThan(4);
    const answer = await cluster.call(`/fn/${name}/?code=return%202`);
    expect(errorOf(answer)).toBeUndefined();
    expect(answer.status).toBe(200);
  });
});
