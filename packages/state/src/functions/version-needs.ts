import { setImmediate as turn } from 'node:timers/promises';
import type { SecretRevision } from '@kiln/contract/records/secrets';
import { readLoosely } from '../store/read-record.js';
import { type PackedVersions, unpack } from './packed-versions.js';

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

/** Of every version that is stored. */
export async function versionNeeds(stored: ReadonlyMap<string, PackedVersions>): Promise<VersionNeeds[]> {
  const needs: VersionNeeds[] = [];
  await eachInTurns(stored, (name, version, text) => needs.push(needsOf(name, version, text)));
  return needs;
}

/** The revisions of secrets that some version was made with. */
export async function neededSecrets(stored: ReadonlyMap<string, PackedVersions>): Promise<SecretRevision[]> {
  const needed: SecretRevision[] = [];
  await eachInTurns(stored, (name, version, text) => {
    // Most use none, and reading each would cost seconds where there are many.
    if (text.includes('"secretRevisions"')) needed.push(...needsOf(name, version, text).secretRevisions);
  });
  return needed;
}

async function eachInTurns(
  stored: ReadonlyMap<string, PackedVersions>,
  visit: (name: string, version: number, text: string) => void,
): Promise<void> {
  let left = AT_ONCE;
  for (const [name, versions] of stored) {
    for (const [field, text] of Object.entries(unpack(versions))) {
      visit(name, Number(field), text);
      left--;
    }
    if (left > 0) continue;
    left = AT_ONCE;
    await turn();
  }
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
