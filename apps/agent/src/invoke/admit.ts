import { KilnError } from '@kiln/contract/errors';
import { REQUEST_ID_PATTERN } from '@kiln/contract/names';
import type { InstancePool } from '@kiln/instances/pool/instance-pool';
import type { Pools } from '@kiln/instances/pool/pools';
import type { FunctionVersion } from '@kiln/instances/port/container-driver';
import type { NodeLifecycle } from '../node/lifecycle.js';
import type { CallerCheck } from './caller-check.js';
import type { Incoming } from './incoming.js';

/** Versions as this node knows them. */
interface KnownVersions {
  /** From memory, else looked up once. @throws KilnError where there is no such version, or nobody can say */
  find(name: string, version: number): Promise<FunctionVersion>;
}

export interface AdmitParts {
  check: CallerCheck;
  /** Where it takes no work everything is refused; another node may take it at once. */
  lifecycle: Pick<NodeLifecycle, 'takesWork'>;
  pools: Pools;
  versions: KnownVersions;
}

/** The first steps of every request: who asks, whether this node takes work, and for which version. */
export class Admit {
  constructor(private readonly parts: AdmitParts) {}

  /** @throws KilnError; nothing was executed */
  caller(incoming: Incoming): void {
    if (!this.parts.check.accepts(incoming.secret)) throw new KilnError('unauthorized', 'this is not one of the cluster’s routers');
    if (!REQUEST_ID_PATTERN.test(incoming.requestId)) throw new KilnError('bad_request', 'the router gave no request id');
    if (!this.parts.lifecycle.takesWork) throw new KilnError('unavailable', `node ${this.parts.pools.nodeId} is draining`);
  }

  /** Without waiting for a version that has a pool here. @throws KilnError; nothing was executed */
  pool({ function: name, version }: Incoming): InstancePool | Promise<InstancePool> {
    return this.parts.pools.find(name, version) ?? this.parts.versions.find(name, version).then((found) => this.parts.pools.of(found));
  }
}
