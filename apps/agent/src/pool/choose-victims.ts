/** An idle instance that could make room. */
export interface Candidate {
  id: string;
  /** MB */
  memory: number;
  cpu: number;
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
 * The idle instances to remove so that `missing` fits: those of versions without traffic first, then those unused longest.
 * Either they make room enough or none is named: nobody loses a warm instance for a start that can't happen anyway. One that turns
 * out not to be needed is spared.
 */
export function chooseVictims<T extends Candidate>(missing: Room, candidates: readonly T[]): T[] {
  const victims: T[] = [];
  const gained: Room = { memory: 0, cpu: 0 };
  for (const candidate of candidates.toSorted((a, b) => Number(a.wanted) - Number(b.wanted) || a.idleSince - b.idleSince)) {
    if (covers(gained, missing)) break;
    victims.push(candidate);
    gained.memory += candidate.memory;
    gained.cpu += candidate.cpu;
  }
  if (!covers(gained, missing)) return [];
  return victims.filter((victim) => {
    const without = { memory: gained.memory - victim.memory, cpu: gained.cpu - victim.cpu };
    if (!covers(without, missing)) return true;
    Object.assign(gained, without);
    return false;
  });
}

function covers(gained: Room, missing: Room): boolean {
  return gained.memory >= missing.memory && gained.cpu >= missing.cpu;
}
