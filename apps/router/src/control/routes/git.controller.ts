import { Readable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { GitServer } from '@kiln/git-push/push/git-server';
import type { GitService } from '@kiln/git-push/repository/http-backend';
import { Body, Controller, Get, HttpCode, Inject, Param, Post, Query, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { KeyTable } from '../../view/key-table.js';
import { bearerOf } from '../http/basic-key.js';
import { callerGone } from '../http/send-lines.js';

const SERVICES: readonly string[] = ['git-receive-pack', 'git-upload-pack'] satisfies GitService[];
const ENDING = '.git';

@Controller('git')
export class GitController {
  constructor(
    @Inject(GitServer) private readonly git: GitServer,
    @Inject(KeyTable) private readonly keys: KeyTable,
  ) {}

  /** How each exchange begins: which refs there are. */
  @Get(':repository/info/refs')
  refs(
    @Param('repository') repository: string,
    @Query('service') service: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    if (!isService(service)) throw new KilnError('bad_request', 'this is git over smart HTTP only', { fix: 'use a newer git' });
    return this.serve(repository, service, request, reply);
  }

  @Post(':repository/git-receive-pack')
  @HttpCode(200)
  push(
    @Param('repository') repository: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    // No git client packs a push twice, and what unpacks it would not know how much may come.
    if (request.headers['content-encoding'] !== undefined) throw new KilnError('bad_request', 'a push is not sent with a content-encoding');
    return this.serve(repository, 'git-receive-pack', request, reply, streamOf(body));
  }

  @Post(':repository/git-upload-pack')
  @HttpCode(200)
  fetch(
    @Param('repository') repository: string,
    @Body() body: unknown,
    @Req() request: FastifyRequest,
    @Res() reply: FastifyReply,
  ): Promise<void> {
    return this.serve(repository, 'git-upload-pack', request, reply, streamOf(body));
  }

  private async serve(
    repository: string,
    service: GitService,
    { headers }: FastifyRequest,
    reply: FastifyReply,
    body?: Readable,
  ): Promise<void> {
    const { authorization, 'content-type': contentType, 'content-encoding': contentEncoding, 'git-protocol': protocol } = headers;
    const key = this.keys.holder(bearerOf(authorization));
    if (key === undefined) throw new KilnError('unauthorized', 'the request has no valid API key');
    // An answer may come while the client still sends: see StreamsController.
    reply.raw.shouldKeepAlive = true;
    const served = await this.git.serve(
      projectOf(repository),
      {
        service,
        body,
        contentType,
        contentEncoding,
        protocol: typeof protocol === 'string' ? protocol : undefined,
        key,
      },
      callerGone(reply),
    );
    await reply.code(served.status).type(served.contentType).send(served.body);
  }
}

function isService(service: unknown): service is GitService {
  return typeof service === 'string' && SERVICES.includes(service);
}

function projectOf(repository: string): string {
  if (repository.endsWith(ENDING)) return repository.slice(0, -ENDING.length);
  throw new KilnError('not_found', 'nothing is here', { fix: `the address ends in .git: /git/${repository.slice(0, 80)}.git` });
}

function streamOf(body: unknown): Readable {
  if (body instanceof Readable) return body;
  throw new KilnError('bad_request', 'the body must be what a git client sends');
}
