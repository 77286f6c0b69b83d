import { NODE_HEAD_BYTES } from '@kiln/forward/head-limits';
import { connectTo, type Upstream } from '@kiln/forward/upstream';
import type { LiveNode, NodeTable } from '../placement/node-table.js';

/** How a node is reached. */
export interface Agent {
  readonly upstream: Upstream;
  readonly host: string;
  readonly port: number;
}

interface Known extends Agent {
  url: string;
  epoch: string;
}

/** Connections to nodes. A restarted node gets new ones: an address alone does not say who answers there. */
export class Agents {
  private readonly known = new Map<string, Known>();

  constructor(private readonly nodes: NodeTable) {}

  of({ id, record }: LiveNode): Agent {
    const known = this.known.get(id);
    if (known !== undefined && known.epoch === record.epoch && known.url === record.dataUrl) return known;
    known?.upstream.close();
    this.forgetGone();
    const { hostname, port } = new URL(record.dataUrl);
    const host = hostname.startsWith('[') ? hostname.slice(1, -1) : hostname;
    const agent = {
      upstream: connectTo({ host, port: Number(port), maxHeaderBytes: NODE_HEAD_BYTES }),
      host,
      port: Number(port),
      url: record.dataUrl,
      epoch: record.epoch,
    };
    this.known.set(id, agent);
    return agent;
  }

  destroy(): void {
    for (const { upstream } of this.known.values()) upstream.destroy();
    this.known.clear();
  }

  private forgetGone(): void {
    for (const [id, { upstream }] of this.known) {
      if (this.nodes.knows(id)) continue;
      upstream.close();
      this.known.delete(id);
    }
  }
}
