import { type NodeView, nodeView, type Page, type RingView, ringView, type StoreView, storeView } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import { KilnError } from '@kiln/contract/errors';
import { nodeId } from '@kiln/contract/names';
import type { NodeRecord } from '@kiln/contract/records/records';
import { Controller, Inject, Param, Query } from '@nestjs/common';
import { AgentsClient } from '../../agents/agents-client.js';
import { HeldStore } from '../../cluster/held-store.js';
import { NodeTable } from '../../placement/node-table.js';
import { Catalog } from '../../view/catalog.js';
import { Membership } from '../../view/membership.js';
import { pageOf, pages } from '../http/page.js';
import { Route } from '../http/routes.js';

@Controller()
export class ClusterController {
  constructor(
    @Inject(Membership) private readonly membership: Membership,
    @Inject(NodeTable) private readonly nodes: NodeTable,
    @Inject(AgentsClient) private readonly agents: AgentsClient,
    @Inject(Catalog) private readonly catalog: Catalog,
    @Inject(HeldStore) private readonly held: HeldStore,
  ) {}

  @Route('GET', '/v1/nodes', 'read', 'List the nodes', pages(nodeView))
  list(@Query() query: unknown): Page<NodeView> {
    return pageOf(this.membership.views(), ({ id }) => id, query);
  }

  @Route('POST', '/v1/nodes/:id/drain', 'admin', 'Let a node finish what runs and take no new work', { status: 204 })
  async drain(@Param('id') id: string): Promise<void> {
    await this.agents.drain(this.node(id));
  }

  @Route('DELETE', '/v1/nodes/:id/drain', 'admin', 'Let a node that drains take new work again', { status: 204 })
  async undrain(@Param('id') id: string): Promise<void> {
    await this.agents.resume(this.node(id));
  }

  private node(id: string): NodeRecord {
    const node = this.membership.find(parse(nodeId, id, 'id'));
    if (node === undefined) throw new KilnError('not_found', `there is no node "${id}"`, { fix: 'kiln nodes ls' });
    return node;
  }

  @Route('GET', '/v1/ring', 'read', 'Show where each function goes', { answer: ringView })
  async ring(): Promise<RingView> {
    const members = this.nodes.live().filter(({ record }) => !record.draining);
    const functions = (await this.catalog.list()).map((entry) => entry.function.name);
    return {
      nodes: members.map(({ id, weight }) => ({ id, weight })),
      functions: functions.map((name) => ({ name, nodes: this.nodes.preference(name).map(({ id }) => id) })),
    };
  }

  @Route('GET', '/v1/store', 'read', 'Show how the store is', { answer: storeView })
  store(): StoreView {
    return this.held.view();
  }

  @Route('POST', '/v1/store/restore', 'admin', 'Write back what this router holds to a store that has lost it', { answer: storeView })
  restore(): Promise<StoreView> {
    return this.held.restore();
  }

  @Route('POST', '/v1/store/accept', 'admin', 'Go on with what a store that has lost something has now', { answer: storeView })
  accept(): Promise<StoreView> {
    return this.held.accept();
  }
}
