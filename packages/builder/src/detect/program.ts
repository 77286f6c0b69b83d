import { KilnError } from '@kiln/contract/errors';

/** The last stage of what a compiler made at `/out/function` in the stage `build`. */
export const RUN_PROGRAM: readonly string[] = [
  'COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/',
  'COPY --from=build /out/function /app/function',
  'WORKDIR /app',
  'USER 65532:65532',
  'CMD ["/app/function"]',
];

/** Of several programs in a folder, none may be chosen by chance. */
export function whichProgram(entries: readonly string[]): KilnError {
  return new KilnError('bad_request', `entry: which of ${entries.join(', ')} is the function?`, {
    fix: `set "entry" in kiln.json: "${entries[0]}"`,
    fields: [{ field: 'entry', message: `must be one of ${entries.join(', ')}` }],
  });
}
