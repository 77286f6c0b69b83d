import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { statusOf } from '@kiln/engine/engine-error';
import type Dockerode from 'dockerode';
import { AddressPool, gatewayOf } from './address-pool.js';
import { NODE_LABEL } from './container-options.js';
import { within } from './deadline.js';

const CALL_MS = 10_000;
const ATTEMPTS = 5;
const REMOVE_ATTEMPTS = 20;
const REMOVE_PAUSE_MS = 250;

/** The one network that this node's instances are on. */
export function networkName(node: string): string {
  return `kiln-${node}`;
}

/** The network's interface on the host: such a name has at most 15 characters, so it holds a digest of the node's id. */
export function bridgeName(node: string): string {
  return `fn${digest(node)}`;
}

export function digest(node: string): string {
  return createHash('sha256').update(node).digest('hex').slice(0, 10);
}

/** Makes the node's network again: the network of an earlier run may have other settings. @returns its addresses */
export async function makeNetwork(docker: Dockerode, node: string): Promise<AddressPool> {
  if (!(await removeNetwork(docker, node))) return new AddressPool(await rangeOf(docker.getNetwork(networkName(node)), node));
  for (let attempt = 1; ; attempt++) {
    // The engine chooses a free range; but a container's address can be set only in a range that the request names.
    const subnet = await create(docker, node, undefined);
    await removeNetwork(docker, node);
    try {
      return new AddressPool(await create(docker, node, subnet));
    } catch (error) {
      // Another agent may have got the range in the meantime.
      if (attempt === ATTEMPTS || statusOf(error) === undefined) throw error;
    }
  }
}

/** False where the engine can't remove the node's network: some count the endpoint of a removed container until they restart. */
export async function removeNetwork(docker: Dockerode, node: string): Promise<boolean> {
  const filters = { label: [`${NODE_LABEL}=${node}`] };
  const found = await within('list networks', CALL_MS, (abortSignal) => docker.listNetworks({ filters, abortSignal }));
  let gone = true;
  for (const { Id } of found) gone = (await removeOne(docker.getNetwork(Id))) && gone;
  return gone;
}

async function removeOne(found: Dockerode.Network): Promise<boolean> {
  for (let attempt = 1; ; attempt++) {
    try {
      await within('remove a network', CALL_MS, (abortSignal) => found.remove({ abortSignal }));
      return true;
    } catch (error) {
      if (statusOf(error) === 404) return true;
      if (statusOf(error) !== 403) throw error;
      // The engine needs a moment until the network has no containers.
      if (attempt === REMOVE_ATTEMPTS) return false;
      await delay(REMOVE_PAUSE_MS);
    }
  }
}

/** @returns the new network's range */
async function create(docker: Dockerode, node: string, subnet: string | undefined): Promise<string> {
  const options = {
    Name: networkName(node),
    CheckDuplicate: true,
    Driver: 'bridge',
    EnableIPv6: false,
    Labels: { [NODE_LABEL]: node },
    IPAM: subnet === undefined ? undefined : { Driver: 'default', Config: [{ Subnet: subnet, Gateway: gatewayOf(subnet) }] },
    Options: {
      'com.docker.network.bridge.name': bridgeName(node),
      'com.docker.network.bridge.enable_icc': 'false',
      'com.docker.network.bridge.enable_ip_masquerade': 'true',
    },
  };
  const created = await within('create a network', CALL_MS, (abortSignal) => docker.createNetwork({ ...options, abortSignal }));
  return rangeOf(created, node);
}

async function rangeOf(made: Dockerode.Network, node: string): Promise<string> {
  const { IPAM } = await within('inspect a network', CALL_MS, () => made.inspect());
  const range = IPAM?.Config?.[0]?.Subnet;
  if (range === undefined) throw new Error(`the engine made the network ${networkName(node)} without a range of addresses`);
  return range;
}
