/** The longest message of a version. */
const MAX_CHARS = 200;
const HASH_CHARS = 10;

/** The message of a version made from a commit: the short hash and the subject, in one line. */
export function commitMessage(hash: string, subject: string, { changed = false } = {}): string {
  const mark = changed ? ' + changes' : '';
  const line = `${hash.slice(0, HASH_CHARS)} ${subject.replace(/\p{Cc}+/gu, ' ').trim()}`.trim();
  const cut = line.slice(0, MAX_CHARS - mark.length);
  return `${cut.isWellFormed() ? cut : cut.slice(0, -1)}${mark}`;
}
