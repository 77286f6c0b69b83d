import type { Instance } from '../instance/instance.js';

/** Ready instances with room; the one used last is used next, so that the others can grow old. */
export class FreeInstances {
  private readonly all: Instance[] = [];

  get next(): Instance | undefined {
    return this.all.at(-1);
  }

  add(instance: Instance): void {
    this.all.push(instance);
  }

  remove(instance: Instance): void {
    const at = this.all.lastIndexOf(instance);
    if (at !== -1) this.all.splice(at, 1);
  }
}
