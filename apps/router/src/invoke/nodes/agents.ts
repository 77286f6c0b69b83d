import { connectTo, type Upstream } from '@kiln/forward/client/upstream';
import { NODE_HEAD_BYTES } from '@kiln/forward/headers/head-limits';
import { Members } from '@kiln/forward/members';
import type { LiveNode, NodeTable } from '../../placement/node-table.js';
import type { Call } from './call.js';

/** One node's door in one life of its agent: how it is reached, and what is under way there. */
export class AgentConnections {
  readonly upstream: Upstream;
  readonly host: string;
  readonly port: number;
  readonly underWay = new Members<Call>();
  /** For the watch: what it had heard at its last look, and for how many looks there was nothing new. */
  heard = 0;
  silentTicks = 0;

  constructor(
    readonly id: string,
    readonly url: string,
    readonly epoch: string,
    /** Says when a request waits. */
    readonly tellsWaiting: boolean,
  ) {
    const { hostname, port } = new URL(url);
    this.host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    this.port = Number(port);
    this.upstream = connectTo({ host: this.host, port: this.port, maxHeaderBytes: NODE_HEAD_BYTES });
  }

  /** Ends what is under way. */
  endCalls(reason: string): void {
    for (const call of this.underWay) call.end(reason);
  }
}

/** Connections to nodes. A restarted node gets new ones: an address alone does not say who answers there. */
export class Agents {
  private readonly known = new Map<string, AgentConnections>();
  /** Of earlier lives or addresses, until nothing is under way there any more. */
  private readonly former = new Set<AgentConnections>();

  constructor(private readonly nodes: NodeTable) {}

  of({ id, record }: LiveNode): AgentConnections {
    const known = this.known.get(id);
    if (known !== undefined && known.epoch === record.epoch && known.url === record.dataUrl) return known;
    if (known !== undefined) this.close(known);
    const agent = new AgentConnections(id, record.dataUrl, record.epoch, record.tellsWaiting ?? false);
    this.known.set(id, agent);
    return agent;
  }

  /** All that have something under way or may get something; those that are of no more use are closed. */
  all(): AgentConnections[] {
    for (const agent of this.known.values()) {
      if (!this.nodes.knows(agent.id)) this.close(agent);
    }
    for (const agent of this.former) {
      if (agent.underWay.size === 0) this.former.delete(agent);
    }
    return [...this.known.values(), ...this.former];
  }

  destroy(): void {
    for (const { upstream } of [...this.known.values(), ...this.former]) upstream.destroy();
    this.known.clear();
    this.former.clear();
  }

  private close(agent: AgentConnections): void {
    agent.upstream.close();
    this.known.delete(agent.id);
    this.former.add(agent);
  }
}
