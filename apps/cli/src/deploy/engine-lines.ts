const STEP = /^Step \d+\/\d+( : | took )/;
/** The builder's own lines after the steps of the engine. */
const AFTERWARDS = /^(handler: |the exports can't be read |built |pushing |pushed |nothing changed)/;

/** Separates the output of the engine's steps from the builder's own lines. */
export class EngineLines {
  private inStep = false;

  /** True for a line of the engine. Expects the lines in order. */
  takes(line: string): boolean {
    if (STEP.test(line)) this.inStep = true;
    else if (AFTERWARDS.test(line)) this.inStep = false;
    return this.inStep;
  }
}
