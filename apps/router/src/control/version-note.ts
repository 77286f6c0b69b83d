import type { Origin } from '@kiln/contract/control-api';
import type { FastifyReply } from 'fastify';
import type { VersionNote } from '../deploy/deploy.js';
import type { KeyTable } from '../deploy/key-table.js';

/** What a new version says of its making. Of the caller's key only the name: the history is read by others. */
export function noteOf(keys: KeyTable, { request }: FastifyReply, said: Origin & { message?: string | undefined } = {}): VersionNote {
  const { message, sourceDigest, project } = said;
  const createdBy = keys.holder(request.headers.authorization)?.name;
  return {
    ...(createdBy !== undefined && { createdBy }),
    ...(message !== undefined && { message }),
    ...(sourceDigest !== undefined && { sourceDigest }),
    ...(project !== undefined && { project }),
  };
}
