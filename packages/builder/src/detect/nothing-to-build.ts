import { KilnError } from '@kiln/contract/errors';

/** No detector recognised the folder. */
export class NothingToBuild extends KilnError {
  constructor(
    readonly lookedFor: string,
    fix: string,
  ) {
    super('bad_request', `nothing to build in this folder; looked for ${lookedFor}`, { fix });
  }
}
