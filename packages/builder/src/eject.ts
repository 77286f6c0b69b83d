import { KilnError } from '@kiln/contract/errors';
import type { BuildPlan } from './detect.js';
import { SOURCES } from './layout.js';

const PREPARED_STAGE = 'prepared';

/**
 * The Dockerfile that a plan stands for, as a folder can have it for itself: built from that folder, without any image of ours.
 * @throws KilnError `bad_request` where there is none to be had
 */
export function ejected(plan: BuildPlan, functionName: string): string {
  if (plan.dockerfile === undefined) throw refusal('the folder has its own Dockerfile', 'change that one');
  if (plan.kind !== 'http' || (plan.files?.size ?? 0) > 0) {
    throw refusal('what is in this folder is served by a part of Kiln’s own, which a Dockerfile could not bring', 'deploy it as it is');
  }
  const content = plan.dockerfile.content({ preparedImage: PREPARED_STAGE, functionName });
  const own = content.split('\n').map(fromFolder).join('\n');
  if (plan.prepared === undefined) return own;
  return `${plan.prepared.dockerfile.replace(/^FROM (\S+)\n/, `FROM $1 AS ${PREPARED_STAGE}\n`)}\n${own}`;
}

/** Sources lie at the root of the context then. */
function fromFolder(line: string): string {
  if (!line.startsWith('COPY ') || line.includes('--from=')) return line;
  const words = line.split(' ');
  return words
    .map((word, i) => (i < words.length - 1 && word.startsWith(`${SOURCES}/`) ? `./${word.slice(SOURCES.length + 1)}` : word))
    .join(' ');
}

function refusal(why: string, fix: string): KilnError {
  return new KilnError('bad_request', `there is no Dockerfile to take over: ${why}`, { fix });
}
