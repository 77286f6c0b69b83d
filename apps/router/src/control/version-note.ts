import type { FastifyReply } from 'fastify';
import type { VersionNote } from '../deploy/deploy.js';
import type { KeyTable } from '../deploy/key-table.js';

/** What a new version says of its making. Of the caller's key only the name: the history is read by others. */
export function noteOf(keys: KeyTable, { request }: FastifyReply, message: string | undefined): VersionNote {
  const createdBy = keys.holder(request.headers.authorization)?.name;
  return { ...(createdBy !== undefined && { createdBy }), ...(message !== undefined && { message }) };
}
