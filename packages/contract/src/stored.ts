import { z } from 'zod';

/**
 * A stored object, typed as what this version of Kiln knows of it. What a later version wrote beside that is kept, so that who reads
 * the record, changes a part and writes it back loses nothing.
 */
export function stored<S extends z.ZodRawShape>(shape: S): z.ZodObject<S> {
  return z.looseObject(shape) as unknown as z.ZodObject<S>;
}
