/**
 * Versions of what routers and agents say to each other. A number is added where one side must not say something that the other does not
 * know; a header, an interim answer or a key that may be ignored needs none. The old number goes one release later at the earliest.
 */
export const WIRE: readonly number[] = [1];

/** Agents of before say no number: they speak the first version. */
export function sharesWire({ wire = [1] }: { wire?: readonly number[] | undefined }): boolean {
  return wire.some((version) => WIRE.includes(version));
}
