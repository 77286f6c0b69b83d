/**
 * The limit of memory and swap together, in bytes, that leaves no swap. With systemd, the engine passes the swap limit to systemd only
 * where it is above zero, and writes a zero limit itself. systemd then removes that zero limit with the next change of the slice or the
 * container (seen with runc 1.1.15 and systemd 257 on cgroup v2). So this adds one byte: systemd gets a limit, and the kernel rounds it down to no page.
 */
export function memorySwap(memory: number, isSystemd: boolean): number {
  return isSystemd ? memory + 1 : memory;
}
