import type { Origin } from '@kiln/contract/api/control-api';
import type { FastifyReply } from 'fastify';
import type { VersionNote } from '../../deploy/deploy.js';
import type { KeyTable } from '../../view/key-table.js';

type Said = Origin & Pick<VersionNote, 'message' | 'traffic'>;

/** What a new version says of its making. Of the caller's key only the name: the history is read by others. */
export function noteOf(keys: KeyTable, { request }: FastifyReply, said: Said = {}): VersionNote {
  const { message, traffic, sourceDigest, project } = said;
  return { createdBy: keys.holder(request.headers.authorization)?.name, message, traffic, sourceDigest, project };
}
