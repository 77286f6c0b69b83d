import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { readConfig } from '../config.js';
import { homePaths } from '../home.js';
import { RunningFile } from '../up/running-file.js';
import { checkPort } from './check-machine.js';

let home: string;
let other: net.Server;
let port: number;

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'kiln-doctor-'));
  other = net.createServer().listen(0, '127.0.0.1');
  await once(other, 'listening');
  port = (other.address() as net.AddressInfo).port;
});
afterEach(() => {
  other.close();
  rmSync(home, { recursive: true, force: true });
});

describe('the port of a router', () => {
  it('is its own kiln up’s only where that has it: another Kiln may run on it', async () => {
    const config = readConfig({ KILN_HOME: home });
    const check = () => checkPort(config, port, 'KILN_HTTP_PORT');
    expect(await check()).toMatchObject({ state: 'failed', fix: expect.stringContaining('KILN_HTTP_PORT') });
    const running = RunningFile.take(homePaths(home).running, [port + 1]);
    expect(await check()).toMatchObject({ state: 'failed', detail: expect.stringContaining('the Kiln of another KILN_HOME') });
    running.release();
    RunningFile.take(homePaths(home).running, [port]);
    expect(await check()).toMatchObject({ state: 'ok', detail: expect.stringContaining(`the kiln up of ${home}`) });
  });
});
