// Runs an image without Kiln, in a container on the engine's default network, created through the Engine API.
import http from 'node:http';
import { engine } from '@kiln/testing/engine';
import { freePorts } from '@kiln/testing/ports';

const PORT = 8080;
const FIRST_ANSWER_MS = 30_000;
const LABEL = { 'kiln.bench': String(process.pid) };

/** How to start and call a function's own server: an HTTP image unchanged, a runner image as `npx kiln-runner` does. */
export const KINDS = {
  http: { settings: {}, path: '/' },
  runner: { settings: { Entrypoint: [], Cmd: ['node', '/opt/kiln/runner.mjs'], WorkingDir: '/app' }, path: '/hello' },
};

/** @returns the address of the server, and the time from the create call to the end of its first response */
export async function startPlain(image, kind, { published = false } = {}) {
  const { settings, path } = KINDS[kind];
  const [hostPort] = await freePorts(1);
  const started = performance.now();
  const container = await engine.createContainer({
    Image: image,
    Labels: LABEL,
    Env: [`PORT=${PORT}`],
    ...settings,
    ExposedPorts: { [`${PORT}/tcp`]: {} },
    HostConfig: published ? { PortBindings: { [`${PORT}/tcp`]: [{ HostIp: '127.0.0.1', HostPort: String(hostPort) }] } } : {},
  });
  await container.start();
  const target = published ? { host: '127.0.0.1', port: hostPort } : { host: await addressOf(container), port: PORT };
  await firstAnswer({ ...target, path }, container);
  return { target, path, firstAnswerMs: performance.now() - started };
}

export async function removePlain() {
  const found = await engine.listContainers({ all: true, filters: { label: [`kiln.bench=${process.pid}`] } });
  for (const { Id } of found) await engine.getContainer(Id).remove({ force: true, v: true });
}

async function addressOf(container) {
  const { NetworkSettings } = await container.inspect();
  return Object.values(NetworkSettings.Networks)[0].IPAddress;
}

async function firstAnswer(target, container) {
  const deadline = performance.now() + FIRST_ANSWER_MS;
  for (;;) {
    const answer = await once(target);
    if (answer === 200) return;
    if (performance.now() > deadline) {
      const output = await container.logs({ stdout: true, stderr: true });
      throw new Error(`the plain container does not answer (${answer}): ${output.toString('utf8').slice(-1000)}`);
    }
  }
}

function once(target) {
  return new Promise((resolve) => {
    const request = http.get({ ...target, agent: false, timeout: 1000 }, (response) => {
      response.resume().on('end', () => resolve(response.statusCode));
    });
    request.on('timeout', () => request.destroy(new Error('timeout')));
    // A published port accepts connections before its server listens, so only a response counts.
    request.on('error', (error) => setTimeout(resolve, 1, error.message));
  });
}
