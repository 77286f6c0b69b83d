import { isDeepStrictEqual } from 'node:util';
import { KilnError } from '@kiln/contract/errors';
import type { VersionRecord } from '@kiln/contract/records/records';

// What becomes of the record of a version while it is proved; undefined where it stays as it is.

/** A version is proved once: what is ready stays ready, what failed stays failed. @throws KilnError `conflict` */
export function settled(before: VersionRecord, outcome: Pick<VersionRecord, 'state' | 'failure'>): VersionRecord | undefined {
  const { refusal: _refusal, ...record } = before;
  if (record.state === outcome.state) return undefined;
  if (record.state !== 'pending')
    throw new KilnError('conflict', `version ${record.version} of "${record.function}" is ${record.state} already`);
  return { ...record, ...outcome };
}

/** The node that is to prove it could not try. */
export function refused(before: VersionRecord, refusal: NonNullable<VersionRecord['refusal']>): VersionRecord | undefined {
  if (before.state !== 'pending' || before.provingNode !== refusal.node) return undefined;
  return isDeepStrictEqual(before.refusal, refusal) ? undefined : { ...before, refusal };
}

/** Another node is to prove it. What the one before said stays: by it the next knows that the image may be elsewhere. */
export function movedTo(node: string, before: VersionRecord): VersionRecord | undefined {
  const { state, provingNode, refusal } = before;
  if (state !== 'pending' || provingNode === node) return undefined;
  const said = refusal?.node === provingNode ? refusal : { node: provingNode, code: 'unavailable', detail: 'it said nothing' };
  return { ...before, provingNode: node, refusal: said };
}
