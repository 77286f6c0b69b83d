import { setImmediate as turn } from 'node:timers/promises';
import type { SecretRevision } from '@kiln/contract/records/secrets';
import { readLoosely } from '../store/read-record.js';
import { type StoredFunctions, unpack } from './packed-versions.js';

/** What a stored version needs so that it can run again, whether or not the rest of its record can be read. */
export interface VersionNeeds {
  function: string;
  version: number;
  image: string;
  createdAt: string;
  secretRevisions: SecretRevision[];
}

/** Records that are looked at before others have their turn: well below a millisecond. */
const AT_ONCE = 50;

/** Of every version that is stored; of those whose record has this text, where one is given. */
export async function versionNeeds(stored: StoredFunctions, having = ''): Promise<VersionNeeds[]> {
  const needs: VersionNeeds[] = [];
  let left = AT_ONCE;
  for (const [name, { versions }] of stored) {
    for (const [field, text] of Object.entries(versions === undefined ? {} : unpack(versions))) {
      if (text.includes(having)) needs.push(needsOf(name, Number(field), text));
      left--;
    }
    if (left > 0) continue;
    left = AT_ONCE;
    await turn();
  }
  return needs;
}

/** The revisions of secrets that some version was made with. Most use none, and reading each would cost seconds where there are many. */
export async function neededSecrets(stored: StoredFunctions): Promise<SecretRevision[]> {
  return (await versionNeeds(stored, '"secretRevisions"')).flatMap(({ secretRevisions }) => secretRevisions);
}

function needsOf(name: string, version: number, text: string): VersionNeeds {
  const { image, createdAt, secretRevisions } = readLoosely(text);
  const revisions = typeof secretRevisions === 'object' && secretRevisions !== null ? Object.entries(secretRevisions) : [];
  return {
    function: name,
    version,
    image: typeof image === 'string' ? image : '',
    createdAt: typeof createdAt === 'string' ? createdAt : new Date(0).toISOString(),
    secretRevisions: revisions.map(([secret, revision]) => ({ name: secret, revision: Number(revision) })),
  };
}
