import { pairs, table } from '../output/table.js';
import { duration, shortDigest } from '../output/units.js';
import { deployed, failed, type Outcome } from './deploy-function.js';

/** One function under each other, several as a table. */
export function outcomesText(outcomes: readonly Outcome[]): string {
  const [first] = outcomes;
  if (outcomes.length === 1 && first && deployed(first)) {
    return pairs([
      ['function', first.function],
      ['version', `v${first.version}${first.changed ? '' : ' (unchanged)'}`],
      ['digest', shortDigest(first.digest)],
      ['url', first.url],
      ['built in', duration(first.buildMs)],
      ['ready in', duration(first.readyMs)],
      ['rollback', first.rollback],
    ]);
  }
  return table(['function', 'version', 'digest', 'built in', 'ready in', 'url', 'rollback'], outcomes.map(row));
}

function row(outcome: Outcome) {
  if (failed(outcome)) return [outcome.function, `failed: ${outcome.error.code}`];
  if (!deployed(outcome)) return [outcome.function, 'removed'];
  const { version, changed, digest, buildMs, readyMs, url, rollback } = outcome;
  return [
    outcome.function,
    `v${version}${changed ? '' : ' (unchanged)'}`,
    shortDigest(digest),
    duration(buildMs),
    duration(readyMs),
    url,
    rollback,
  ];
}
