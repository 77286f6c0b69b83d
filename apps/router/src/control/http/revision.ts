import { KilnError } from '@kiln/contract/errors';

const FORM = /^(?:W\/)?"(\d{1,15})"$/;

/** The revision that an `If-Match` header names. @throws KilnError `bad_request` */
export function revisionOf(ifMatch: string | undefined): number | undefined {
  if (ifMatch === undefined || ifMatch === '*') return undefined;
  const revision = FORM.exec(ifMatch)?.[1];
  if (revision === undefined) {
    throw new KilnError('bad_request', 'if-match: must be a revision in quotes', {
      fields: [{ field: 'if-match', message: 'must be a revision in quotes' }],
    });
  }
  return Number(revision);
}
