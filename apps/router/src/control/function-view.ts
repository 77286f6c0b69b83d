import type { FunctionView } from '@kiln/contract/control-api';
import type { FunctionRecord } from '@kiln/contract/records';
import type { NodeTable } from '../placement/node-table.js';

/** Shows functions with their address and their home. */
export class FunctionViews {
  constructor(
    private readonly nodes: NodeTable,
    private readonly publicUrl: string,
  ) {}

  readonly urlOf = (name: string): string => `${this.publicUrl}/fn/${name}/`;

  readonly of = (record: FunctionRecord): FunctionView => ({
    ...record,
    url: this.urlOf(record.name),
    home: this.nodes.home(record.name) ?? null,
  });
}
