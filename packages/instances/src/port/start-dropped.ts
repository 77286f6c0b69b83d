/** Nobody needs the instance any more, and the engine's work for it had not begun. */
export class StartDropped extends Error {
  constructor() {
    super('nobody needs the instance any more');
  }
}
