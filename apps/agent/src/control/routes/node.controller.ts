import { buildArgsQuery } from '@kiln/contract/api/build-args';
import { buildSecretsHeader } from '@kiln/contract/api/build-secrets';
import { createVersionBody, warmQuery } from '@kiln/contract/api/control-api';
import { parse } from '@kiln/contract/config/field-errors';
import { functionName } from '@kiln/contract/names';
import { BUILD_SECRETS } from '@kiln/contract/wire/headers';
import { Controller, Delete, Get, Headers, HttpCode, Inject, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { Agent } from '../../agent.js';
import { LOG } from '../http/tokens.js';

const JSON_LINES = 'application/jsonl';

/** Requests of routers to a node, except calls of functions. */
@Controller()
export class NodeController {
  constructor(
    @Inject(Agent) private readonly agent: Agent,
    @Inject(LOG) private readonly log: Logger,
  ) {}

  /** Gzip tar in, JSON lines out. */
  @Post('builds')
  @HttpCode(200)
  build(
    @Query('function') name: unknown,
    @Query('buildArgs') args: unknown,
    @Headers(BUILD_SECRETS) header: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): void {
    const buildArgs = args === undefined ? {} : parse(buildArgsQuery, args, 'buildArgs');
    const secrets = header === undefined ? {} : parse(buildSecretsHeader, header, BUILD_SECRETS);
    const lines = this.agent.builds.start(parse(functionName, name, 'function'), request.raw, { buildArgs, secrets });
    void reply.header('content-type', JSON_LINES).send(lines);
  }

  @Get('images/facts')
  facts(@Query('image') image: unknown) {
    return this.agent.node.images.facts(parse(createVersionBody.shape.image, image, 'image'));
  }

  @Get('instances')
  instances(@Query('function') name: unknown) {
    return this.agent.node.pools.instances(name === undefined ? undefined : parse(functionName, name, 'function'));
  }

  /** Responds when the instances are ready, within a bound. */
  @Post('warm')
  @HttpCode(200)
  warm(@Query() query: unknown) {
    const { function: name, version, serving } = parse(warmQuery, query);
    return this.agent.startSuccessor({ name, version, serving });
  }

  /** Responds at once; `status` shows the end of the drain. */
  @Post('drain')
  @HttpCode(202)
  drain() {
    this.agent.drain().catch((error: unknown) => this.log.error({ err: error }, 'drain failed'));
    return this.agent.status();
  }

  /** Cancels a drain. */
  @Delete('drain')
  async resume() {
    await this.agent.resume();
    return this.agent.status();
  }
}
