import { readdirSync, readFileSync } from 'node:fs';

/** Ids of the processes whose variables or command name a folder of a test. */
export function processesOf(folder: string): number[] {
  return readdirSync('/proc')
    .filter((entry) => /^\d+$/.test(entry) && Number(entry) !== process.pid)
    .map(Number)
    .filter((pid) => {
      try {
        return (readFileSync(`/proc/${pid}/environ`, 'utf8') + readFileSync(`/proc/${pid}/cmdline`, 'utf8')).includes(folder);
      } catch {
        return false; // It ended meanwhile, or is the kernel's.
      }
    });
}
