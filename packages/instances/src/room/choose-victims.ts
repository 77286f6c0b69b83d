/** An idle instance that could make room. */
export interface Candidate {
  id: string;
  /** MB */
  memory: number;
  /** When its last request ended; smaller is longer ago. */
  idleSince: number;
  /** Of a version that has traffic, or may be about to get some. */
  wanted: boolean;
}

export interface Room {
  /** MB */
  memory: number;
  cpu: number;
}

/**
 * The idle instances to remove so that `missing` MB fit: of versions without traffic first, then those unused longest, and none that is not
 * needed. Where they would not make room enough, none: nobody loses a warm instance for a start that can't happen.
 */
export function chooseVictims<T extends Candidate>(missing: number, candidates: readonly T[]): T[] {
  const victims: T[] = [];
  let gained = 0;
  for (const candidate of candidates.toSorted((a, b) => Number(a.wanted) - Number(b.wanted) || a.idleSince - b.idleSince)) {
    if (gained >= missing) break;
    victims.push(candidate);
    gained += candidate.memory;
  }
  if (gained < missing) return [];
  return victims.filter(({ memory }) => {
    if (gained - memory < missing) return true;
    gained -= memory;
    return false;
  });
}
