import type { NodeView, Page, RingView } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import { KilnError } from '@kiln/contract/errors';
import { nodeId } from '@kiln/contract/names';
import type { NodeRecord } from '@kiln/contract/records/records';
import { Controller, Delete, Get, HttpCode, Inject, Param, Post, Query } from '@nestjs/common';
import { AgentsClient } from '../../agents/agents-client.js';
import { NodeTable } from '../../placement/node-table.js';
import { Catalog } from '../../view/catalog.js';
import { Membership } from '../../view/membership.js';
import { pageOf } from '../http/page.js';

@Controller('v1')
export class ClusterController {
  constructor(
    @Inject(Membership) private readonly membership: Membership,
    @Inject(NodeTable) private readonly nodes: NodeTable,
    @Inject(AgentsClient) private readonly agents: AgentsClient,
    @Inject(Catalog) private readonly catalog: Catalog,
  ) {}

  @Get('nodes')
  list(@Query() query: unknown): Page<NodeView> {
    return pageOf(this.membership.views(), ({ id }) => id, query);
  }

  @Post('nodes/:id/drain')
  @HttpCode(204)
  async drain(@Param('id') id: string): Promise<void> {
    await this.agents.drain(this.node(id));
  }

  @Delete('nodes/:id/drain')
  @HttpCode(204)
  async undrain(@Param('id') id: string): Promise<void> {
    await this.agents.resume(this.node(id));
  }

  private node(id: string): NodeRecord {
    const node = this.membership.find(parse(nodeId, id, 'id'));
    if (node === undefined) throw new KilnError('not_found', `there is no node "${id}"`, { fix: 'kiln nodes ls' });
    return node;
  }

  @Get('ring')
  async ring(): Promise<RingView> {
    const members = this.nodes.live().filter(({ record }) => !record.draining);
    const functions = (await this.catalog.list()).map((entry) => entry.function.name);
    return {
      nodes: members.map(({ id, weight }) => ({ id, weight })),
      functions: functions.map((name) => ({ name, nodes: this.nodes.preference(name).map(({ id }) => id) })),
    };
  }
}
