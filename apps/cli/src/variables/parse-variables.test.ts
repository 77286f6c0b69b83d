import { describe, expect, it } from 'vitest';
import { parseVariables } from './parse-variables.js';

describe('a file of variables', () => {
  it('is read as dotenv has it', () => {
    const text = `# first
A=1
export B = two words # and why
C="over
several # lines"
D='it is "so"'\r
E=
   F=a=b
G="not closed
H=x#y
`;
    expect(parseVariables(text, '.env')).toMatchObject({
      A: '1',
      B: 'two words',
      C: 'over\nseveral # lines',
      D: 'it is "so"',
      E: '',
      F: 'a=b',
    });
  });

  it.each([
    ['hunter2', 1],
    ['A=1\n\nhunter2\nB=2', 3],
    ['A="x\ny"\n=hunter2\n', 3],
    ['A=1\nB: hunter2', 2],
  ])('with a line that sets none, as in %j, is refused by the number of the line, not by what stands there', (text, line) => {
    expect(() => parseVariables(text, '.env')).toThrowError(expect.objectContaining({ message: `line ${line} of .env sets no variable` }));
  });

  it.each(['', '# nothing\n\n'])('that is empty, as %j, is refused', (text) => {
    expect(() => parseVariables(text, '.env')).toThrowError(/holds no variables/);
  });

  it('with a name that can be none is refused by the name', () => {
    expect(() => parseVariables('A B=1', '.env')).toThrowError(/"A B" can't be a variable's name/);
  });
});
