import { spawnSync } from 'node:child_process';
import Dockerode from 'dockerode';
import { removeRules } from './firewall.js';

/** Client of the engine at `DOCKER_HOST`, as the agents have it. */
export const engine = new Dockerode();

const NODE_LABEL = 'kiln.node';
const FORBIDDEN = 403;

export interface Owned {
  id: string;
  node: string;
  role: string;
  function: string | undefined;
  version: string | undefined;
  instance: string | undefined;
  state: string;
}

/** Every container, whatever its state, that carries the label of one of these nodes. */
export async function containersOf(nodes: readonly string[], functionName?: string): Promise<Owned[]> {
  const all = await engine.listContainers({ all: true, filters: { label: [NODE_LABEL] } });
  return all
    .filter(({ Labels }) => nodes.includes(Labels[NODE_LABEL] ?? ''))
    .map(({ Id, Labels, State }) => ({
      id: Id,
      node: Labels[NODE_LABEL] ?? '',
      role: Labels['kiln.role'] ?? '',
      function: Labels['kiln.function'],
      version: Labels['kiln.version'],
      instance: Labels['kiln.instance'],
      state: State,
    }))
    .filter((container) => functionName === undefined || container.function === functionName);
}

export async function networksOf(nodes: readonly string[]): Promise<{ id: string; name: string }[]> {
  const all = await engine.listNetworks({ filters: { label: [NODE_LABEL] } });
  return all.filter(({ Labels }) => nodes.includes(Labels?.[NODE_LABEL] ?? '')).map(({ Id, Name }) => ({ id: Id, name: Name }));
}

/** Removes what these nodes left on the engine and the machine, and says what it was. */
export async function removeLeftovers(nodes: readonly string[]): Promise<string[]> {
  const containers = await containersOf(nodes);
  for (const { id } of containers) await engine.getContainer(id).remove({ force: true, v: true }).catch(ignoreGone);
  await removeHolds(nodes);
  const networks = await networksOf(nodes);
  const stuck = new Set<string>();
  for (const { id, name } of networks) if (!(await removeNetwork(id))) stuck.add(name);
  return [
    ...containers.map(({ node, role, state, ...rest }) => `container of ${node}: ${role} ${rest.function ?? ''} ${state}`),
    ...networks.filter(({ name }) => !stuck.has(name)).map(({ name }) => `network ${name}`),
    ...removeRules(nodes),
  ];
}

/**
 * False where the engine counts an endpoint of a container that is gone, until it is restarted: seen with 20.10 where many
 * containers start and end at once. Nobody can remove such a network, so it is nobody's leftover.
 */
async function removeNetwork(id: string): Promise<boolean> {
  try {
    await engine.getNetwork(id).remove();
  } catch (error) {
    const { Containers } = await engine
      .getNetwork(id)
      .inspect()
      .catch(() => ({ Containers: undefined }));
    if ((error as { statusCode?: number }).statusCode === FORBIDDEN && Object.keys(Containers ?? {}).length === 0) return false;
    ignoreGone(error as { statusCode?: number });
  }
  return true;
}

/** The same where nothing can be awaited any more: from a process's exit hook. */
export function removeLeftoversNow(nodes: readonly string[]): void {
  for (const node of nodes) {
    const filter = ['--quiet', '--filter', `label=${NODE_LABEL}=${node}`];
    const containers = lines('docker', ['ps', '--all', ...filter]);
    if (containers.length > 0) spawnSync('docker', ['rm', '--force', '--volumes', ...containers], { stdio: 'ignore' });
    const holds = lines('docker', ['image', 'ls', '--format', '{{.Repository}}:{{.Tag}}', '--filter', `reference=kiln-held/${node}`]);
    if (holds.length > 0) spawnSync('docker', ['image', 'rm', ...holds], { stdio: 'ignore' });
    const networks = lines('docker', ['network', 'ls', ...filter]);
    if (networks.length > 0) spawnSync('docker', ['network', 'rm', ...networks], { stdio: 'ignore' });
    removeRules([node]);
  }
}

/** Takes away names, and with its last name an image; one that is not there, or is in use, is fine. */
export async function removeImages(references: Iterable<string>, client: Dockerode = engine): Promise<void> {
  for (const reference of references) await client.getImage(reference).remove().catch(ignoreGone);
}

/** Takes these nodes' hold off every image that they built or pulled. */
export async function removeHolds(nodes: readonly string[], client: Dockerode = engine): Promise<void> {
  const holds = nodes.map((node) => `kiln-held/${node}:`);
  const tags = (await client.listImages()).flatMap(({ RepoTags }) => RepoTags ?? []);
  await removeImages(
    tags.filter((tag) => holds.some((hold) => tag.startsWith(hold))),
    client,
  );
}

function lines(command: string, args: string[]): string[] {
  const { stdout } = spawnSync(command, args, { encoding: 'utf8' });
  return (stdout ?? '').split('\n').filter((line) => line !== '');
}

function ignoreGone(error: { statusCode?: number }): void {
  if (error.statusCode !== 404 && error.statusCode !== 409) throw error;
}
