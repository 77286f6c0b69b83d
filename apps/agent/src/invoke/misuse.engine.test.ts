import { until } from '@kiln/testing/until';
import { describe, expect, it } from 'vitest';
import { instanceOf } from '../node.fixture.js';
import { image, node, withEvaluatingNode } from './with-evaluating-node.fixture.js';

withEvaluatingNode();

/** Answers, and goes on connecting to the agent and closing, as fast as it can. */
const CONNECT_AND_CLOSE = `
const net = require('node:net');
const again = () => {
  const socket = net.connect('/run/kiln/agent.sock', () => socket.destroy());
  socket.on('error', () => undefined).on('close', () => setImmediate(again));
};
for (let i = 0; i < 8; i++) again();
return 'begun';`;

describe('a function that connects to the agent and closes in a loop', () => {
  it('loses its instance, is told so in its log, and costs other functions nothing', async () => {
    node.add('connecting', image, { maxInstances: 1 });
    node.add('beside', image);
    await node.call('beside');
    const first = await node.call('connecting', { body: CONNECT_AND_CLOSE });
    expect(first.text).toBe('"begun"');
    await until('its container is gone', async () =>
      (await node.containers('connecting')).every(({ Labels }) => Labels['kiln.instance'] !== instanceOf(first)),
    );
    for (let i = 0; i < 20; i++) expect((await node.call('beside')).ms).toBeLessThan(1000);
    expect(node.logs.map(({ message }) => message)).toContainEqual(
      expect.stringMatching(/this instance is replaced: it opened and closed/),
    );
    await until('it is started again, after a pause', async () => (await node.call('connecting')).status === 200);
  });
});
