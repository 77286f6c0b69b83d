import type { FunctionView } from '@kiln/contract/api/control-api';
import type { FunctionRecord } from '@kiln/contract/records/records';
import type { RouterConfig } from '../../config.js';
import type { NodeTable } from '../../placement/node-table.js';

/** Shows functions with their address and their home. */
export class FunctionViews {
  constructor(
    private readonly nodes: NodeTable,
    private readonly config: Pick<RouterConfig, 'publicUrl' | 'callsByPath' | 'domain'>,
  ) {}

  readonly urlOf = (name: string): string => {
    const { publicUrl, callsByPath, domain } = this.config;
    if (callsByPath) return `${publicUrl}/fn/${name}/`;
    const url = new URL(publicUrl);
    url.hostname = `${name}.${domain}`;
    return url.href;
  };

  readonly of = (record: FunctionRecord): FunctionView => ({
    ...record,
    url: this.urlOf(record.name),
    home: this.nodes.preference(record.name)[0]?.id ?? null,
  });
}
