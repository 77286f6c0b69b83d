import { z } from 'zod';

/** A stored object, typed as this version of Kiln knows it. What a later version wrote beside that is kept when it is written back. */
export function stored<S extends z.ZodRawShape>(shape: S): z.ZodObject<S> {
  return z.looseObject(shape) as unknown as z.ZodObject<S>;
}

/** What a later version of Kiln wrote into a record beside what is known here. */
export function unknownKeys({ shape }: z.ZodObject, record: object): object {
  return Object.fromEntries(Object.entries(record).filter(([key]) => !(key in shape)));
}

/** The newest schema of records that this version of Kiln knows. A record without a number has schema 1. */
const SCHEMA = 1;

/** The schema that a record was written with. Absent in all that this version writes: its schema is 1. */
export const recordSchema = { schema: z.int().min(1).optional() };

/** A later version of Kiln gave the record a meaning that is not known here: it is read as far as possible, and never rewritten. */
export function isOfLaterSchema({ schema = SCHEMA }: { schema?: number | undefined }): boolean {
  return schema > SCHEMA;
}
