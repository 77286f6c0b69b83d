/**
 * The engine's limit of memory and swap together, in bytes, that leaves no swap. With systemd the engine tells systemd of a difference
 * only, and writes the limit of none by itself; systemd, which knows of no limit, takes it away with the next change of the slice or of
 * the container (seen with runc 1.1.15 and systemd 257 on cgroup v2). One byte more is told to systemd, and the kernel counts whole pages.
 */
export function memorySwap(memory: number, isSystemd: boolean): number {
  return isSystemd ? memory + 1 : memory;
}
