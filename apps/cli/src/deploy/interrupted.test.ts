import { PassThrough } from 'node:stream';
import type { KilnClient } from '@kiln/client/client';
import { describe, expect, it } from 'vitest';
import { readConfig } from '../config.js';
import { connect } from '../connection.js';
import { ControlApi, KEY } from '../control-api.fixture.js';
import { Terminal } from '../output/terminal.js';
import { readDeployed } from './deployed-function.js';
import { interruptedDeploy } from './interrupted.js';

async function withApi(action: (api: ControlApi, client: KilnClient) => Promise<void>): Promise<void> {
  const api = new ControlApi();
  await api.listen();
  const { signal } = new AbortController();
  const streams = { stdin: new PassThrough(), stdout: new PassThrough(), stderr: new PassThrough(), interrupted: signal, insisted: signal };
  const config = readConfig({ KILN_URL: api.url, KILN_API_KEY: KEY });
  try {
    await action(api, connect({ config, terminal: new Terminal(streams) }));
  } finally {
    await api.close();
  }
}

describe('a deployment that was interrupted', () => {
  it('says that nothing changed', () =>
    withApi(async (_api, client) => {
      const before = new Map([['hello', await readDeployed(client, 'hello')]]);
      const { message, exitCode } = await interruptedDeploy(client, before, []);
      expect([message, exitCode]).toEqual(['interrupted; nothing changed; hello serves v2 as before', 130]);
    }));

  it('says that a version got its traffic in the last moment', () =>
    withApi(async (api, client) => {
      const before = new Map([['hello', await readDeployed(client, 'hello')]]);
      api.json('GET /v1/functions/hello', { ...api.functionView(), traffic: [{ version: 3, weight: 100 }] });
      expect((await interruptedDeploy(client, before, [])).message).toBe('interrupted; hello was deployed, and serves v3');
    }));

  it('says where it can not know', () =>
    withApi(async (api, client) => {
      const before = new Map([['hello', await readDeployed(client, 'hello')]]);
      api.fail('GET /v1/functions/hello', 'unavailable', 'away');
      expect((await interruptedDeploy(client, before, [])).message).toContain('it is not known whether hello changed');
    }));
});
