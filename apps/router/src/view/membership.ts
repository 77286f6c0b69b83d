import type { NodeView } from '@kiln/contract/api/control-api';
import type { NodeRecord } from '@kiln/contract/records/records';
import { sharesWire } from '@kiln/contract/wire/versions';
import type { NodeStore, StoredNode } from '@kiln/state/node-store';
import { SingleFlight } from '@kiln/state/store/single-flight';
import type { NodeTable } from '../placement/node-table.js';
import { refreshOnMiss } from './refresh-on-miss.js';

const OTHER_WIRE = 'it speaks no version of the wire that this router speaks, and gets no calls from it: upgrade the older of the two';

/** The nodes as last read. What is read goes into the node table at once. */
export class Membership {
  private known: readonly StoredNode[] = [];
  private readonly reading = new SingleFlight(() => this.read());
  /** For a request that no node known here takes. Never rejects. */
  readonly refreshOnMiss = refreshOnMiss(() => this.refresh());

  constructor(
    private readonly store: Pick<NodeStore, 'list'>,
    private readonly nodes: NodeTable,
  ) {}

  /** @throws KilnError `unavailable`; what was in use stays in use. */
  refresh(): Promise<void> {
    return this.reading.run();
  }

  find(id: string): NodeRecord | undefined {
    return this.known.find((node) => node.id === id);
  }

  /** A node whose door does not answer is not live, whatever its heartbeats say. */
  views(): NodeView[] {
    const live = new Set(this.nodes.live().map(({ id }) => id));
    return this.known.map(({ alive: _, ...record }) => ({
      ...record,
      live: live.has(record.id),
      ...(!sharesWire(record) && { warnings: [...record.warnings, OTHER_WIRE] }),
    }));
  }

  private async read(): Promise<void> {
    this.known = await this.store.list();
    // What this router has to say, the others would not understand.
    this.nodes.update(this.known.filter(sharesWire));
  }
}
