import type { Origin } from '@kiln/contract/api/control-api';
import type { FastifyReply } from 'fastify';
import type { VersionNote } from '../../deploy/deploy.js';
import type { KeyTable } from '../../view/key-table.js';

type Said = Origin & { message?: string | undefined; traffic?: 'none' | undefined };

/** What a new version says of its making. Of the caller's key only the name: the history is read by others. */
export function noteOf(keys: KeyTable, { request }: FastifyReply, said: Said = {}): VersionNote {
  const { message, traffic, sourceDigest, project } = said;
  const createdBy = keys.holder(request.headers.authorization)?.name;
  return {
    ...(createdBy !== undefined && { createdBy }),
    ...(message !== undefined && { message }),
    ...(traffic !== undefined && { traffic }),
    ...(sourceDigest !== undefined && { sourceDigest }),
    ...(project !== undefined && { project }),
  };
}
