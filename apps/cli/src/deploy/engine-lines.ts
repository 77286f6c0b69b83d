const STEP = /^Step \d+\/\d+( : | took )/;
/** What the builder itself says after the engine's steps. */
const AFTERWARDS = /^(handler: |the exports can't be read |built |pushing |pushed |nothing changed)/;

/** Tells what the engine's steps write from what a deployment says of itself. */
export class EngineLines {
  private inStep = false;

  /** Whether a line is of the engine; lines are given in their order. */
  takes(line: string): boolean {
    if (STEP.test(line)) this.inStep = true;
    else if (AFTERWARDS.test(line)) this.inStep = false;
    return this.inStep;
  }
}
