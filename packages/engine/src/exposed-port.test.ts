import type Dockerode from 'dockerode';
import { expect, it } from 'vitest';
import { onlyExposed } from './exposed-port.js';

it.each([
  [['3000/tcp'], 3000],
  [['3000'], 3000],
  [['3000/tcp', '8125/udp'], 3000],
  [['3000/tcp', '9229/tcp'], undefined],
  [['8125/udp'], undefined],
  [['70000/tcp'], undefined],
  [undefined, undefined],
])('of the ports %j the one to send requests to is %s', (names, port) => {
  const ExposedPorts = names && Object.fromEntries(names.map((name) => [name, {}]));
  expect(onlyExposed({ Config: { ExposedPorts } } as Dockerode.ImageInspectInfo)).toBe(port);
});
