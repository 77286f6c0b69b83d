import { describe, expect, it } from 'vitest';
import { readConfig } from './config.js';
import type { NodeParts } from './node-parts.js';
import { openCollector } from './open-collector.js';

describe('the image collector of a node', () => {
  it('warns, as long as the node lives, of an engine whose disk it cannot see', () => {
    const warnings: string[] = [];
    const said: string[] = [];
    const node = { engine: { info: { warnings, root: '/nowhere' } } } as unknown as NodeParts;
    openCollector(readConfig({ KILN_CLUSTER_SECRET: 'x'.repeat(16) }), node, {
      versions: async () => [],
      mayRemove: () => true,
      onLine: () => undefined,
      onTrouble: (message) => said.push(message),
    });
    expect(warnings).toEqual([expect.stringContaining("(/nowhere) can't be seen from here")]);
    expect(said).toEqual(warnings);
  });
});
