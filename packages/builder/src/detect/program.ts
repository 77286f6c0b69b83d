import { KilnError } from '@kiln/contract/errors';

/** The last stage for a program that the stage `build` compiled to `/out/function`. */
export const RUN_PROGRAM: readonly string[] = [
  'COPY --from=build /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs/',
  'COPY --from=build /out/function /app/function',
  'WORKDIR /app',
  'USER 65532:65532',
  'CMD ["/app/function"]',
];

/** The error for a folder with several programs: Kiln does not choose one by chance. */
export function whichProgram(entries: readonly string[]): KilnError {
  return new KilnError('bad_request', `entry: which of ${entries.join(', ')} is the function?`, {
    fix: `set "entry" in kiln.json: "${entries[0]}"`,
    fields: [{ field: 'entry', message: `must be one of ${entries.join(', ')}` }],
  });
}
