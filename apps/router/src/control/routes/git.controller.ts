import { Readable } from 'node:stream';
import { KilnError } from '@kiln/contract/errors';
import { GitServer } from '@kiln/git-push/push/git-server';
import type { GitService } from '@kiln/git-push/repository/http-backend';
import { Body, Controller, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { KeyTable } from '../../view/key-table.js';
import { bearerOf } from '../http/basic-key.js';
import { Route } from '../http/routes.js';
import { callerGone } from '../http/send-lines.js';

const ENDING = '.git';
const REFS = { query: { service: 'git-receive-pack or git-upload-pack' }, answerType: 'application/x-git' } as const;
const EXCHANGE = { body: 'git', answerType: 'application/x-git' } as const;

@Controller()
export class GitController {
  constructor(
    @Inject(GitServer) private readonly git: GitServer,
    @Inject(KeyTable) private readonly keys: KeyTable,
  ) {}

  /** How each exchange begins: which refs there are. */
  @Route(
    'GET',
    '/git/:repository/info/refs',
    'deploy',
    'For git clients: begin a push or a fetch; Basic authentication, the key as password',
    REFS,
  )
  refs(@Param('repository') repository: string, @Query('service') service: unknown, @Res() reply: FastifyReply): Promise<void> {
    if (service !== 'git-receive-pack' && service !== 'git-upload-pack')
      throw new KilnError('bad_request', 'this is git over smart HTTP only', { fix: 'use a newer git' });
    return this.serve(repository, service, reply);
  }

  @Route('POST', '/git/:repository/git-receive-pack', 'deploy', 'For git clients: push; main is built and deployed', EXCHANGE)
  push(@Param('repository') repository: string, @Body() body: unknown, @Res() reply: FastifyReply): Promise<void> {
    // No git client packs a push twice, and what unpacks it would not know how much may come.
    const { 'content-encoding': encoding } = reply.request.headers;
    if (encoding !== undefined) throw new KilnError('bad_request', 'a push is not sent with a content-encoding');
    return this.serve(repository, 'git-receive-pack', reply, streamOf(body));
  }

  @Route('POST', '/git/:repository/git-upload-pack', 'deploy', 'For git clients: fetch what was pushed', EXCHANGE)
  fetch(@Param('repository') repository: string, @Body() body: unknown, @Res() reply: FastifyReply): Promise<void> {
    return this.serve(repository, 'git-upload-pack', reply, streamOf(body));
  }

  private async serve(repository: string, service: GitService, reply: FastifyReply, body?: Readable): Promise<void> {
    const { headers } = reply.request;
    const { authorization, 'content-type': contentType, 'content-encoding': contentEncoding, 'git-protocol': protocol } = headers;
    const key = this.keys.holder(bearerOf(authorization));
    if (key === undefined) throw new KilnError('unauthorized', 'the request has no valid API key');
    // An answer may come while the client still sends: see StreamsController.
    reply.raw.shouldKeepAlive = true;
    const said = { service, body, contentType, contentEncoding, protocol: typeof protocol === 'string' ? protocol : undefined, key };
    const served = await this.git.serve(projectOf(repository), said, callerGone(reply));
    await reply.code(served.status).type(served.contentType).send(served.body);
  }
}

function projectOf(repository: string): string {
  if (repository.endsWith(ENDING)) return repository.slice(0, -ENDING.length);
  throw new KilnError('not_found', 'nothing is here', { fix: `the address ends in .git: /git/${repository.slice(0, 80)}.git` });
}

function streamOf(body: unknown): Readable {
  if (body instanceof Readable) return body;
  throw new KilnError('bad_request', 'the body must be what a git client sends');
}
