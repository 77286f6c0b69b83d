/** Says whether what a caller gave is the cluster's secret, in a time that depends only on the secret's length. */
export class CallerCheck {
  constructor(private readonly expected: string) {}

  accepts(given: string | undefined): boolean {
    if (given === undefined) return false;
    const { expected } = this;
    let difference = given.length ^ expected.length;
    // Every character is looked at, whatever the first ones said; beyond its end `charCodeAt` gives NaN, which counts as 0.
    for (let i = 0; i < expected.length; i++) difference |= given.charCodeAt(i) ^ expected.charCodeAt(i);
    return difference === 0;
  }
}
