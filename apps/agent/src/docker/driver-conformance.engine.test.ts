import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectEngine } from '@kiln/engine/connect-engine';
import { type Behaviour, describeDriver } from '@kiln/instances/port/driver-conformance.fixture';
import { buildTestImage } from '@kiln/testing/images/test-image';
import { NodeEngine } from './node-engine.js';

const SCRIPTS: Record<Exclude<Behaviour, 'missing'>, string> = {
  serves: "require('http').createServer((q, r) => r.end('real')).listen(process.env.PORT)",
  exits: "console.log('bye'); process.exit(3)",
  silent: 'setInterval(() => {}, 1000)',
  stubborn: "process.on('SIGTERM', () => console.log('told')); setInterval(() => {}, 1000); console.log('deaf')",
};

describeDriver('docker', async () => {
  const client = connectEngine('unix:///var/run/docker.sock');
  const node = `t-${randomBytes(4).toString('hex')}`;
  const sockets = mkdtempSync(join(tmpdir(), 'kiln-'));
  const built = new Map<string, Awaited<ReturnType<typeof buildTestImage>>>();
  for (const [name, script] of Object.entries(SCRIPTS)) {
    built.set(name, await buildTestImage({ Dockerfile: `FROM node:24-trixie-slim\nCMD ["node", "-e", ${JSON.stringify(script)}]\n` }));
  }
  const facts = async (image: string) => {
    const { Config } = await client.getImage(image).inspect();
    return { id: image, entrypoint: [], command: Config.Cmd as string[], workingDirectory: '', volumes: [] };
  };
  const engine = await NodeEngine.open({
    docker: client,
    node,
    socketRoot: sockets,
    firewallRequired: true,
    engineTimeout: 15_000,
    exitTimeout: 10_000,
    facts,
    forget: () => undefined,
    onTrouble: () => undefined,
  });
  return {
    driver: engine.driver,
    image: (behaviour) => built.get(behaviour)?.id ?? `sha256:${'0'.repeat(64)}`,
    existing: async () => (await client.listContainers({ all: true, filters: { label: [`kiln.node=${node}`] } })).length,
    close: async () => {
      await engine.close();
      for (const image of built.values()) await image.remove();
      rmSync(sockets, { recursive: true, force: true });
    },
  };
});
