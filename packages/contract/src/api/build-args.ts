import { z } from 'zod';

const MAX_CHARS = 4096;

/** Build arguments, by name. They stay readable in the image's history: nothing secret belongs there. */
export const buildArgs = z.record(
  z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'must be letters, digits and _, not starting with a digit'),
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what this keeps out
  z.string().regex(/^[^\u0000-\u001f\u007f]*$/, 'must be one line'),
);
export type BuildArgs = z.infer<typeof buildArgs>;

/** The same as a query carries them: a JSON object. */
export const buildArgsQuery = z
  .string()
  .max(MAX_CHARS, `must be at most ${MAX_CHARS} characters in all`)
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue('must be a JSON object');
      return z.NEVER;
    }
  })
  .pipe(buildArgs);
