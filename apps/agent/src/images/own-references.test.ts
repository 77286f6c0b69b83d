import { describe, expect, it } from 'vitest';
import { holdName, holdTag, isOurs, ownReferences, pushedReferences } from './own-references.js';

const HASH = '0123456789abcdef0123456789abcdef';
const BUILT = `kiln/hello:${HASH}`;
const HOLD = `${holdName('n1')}:${HASH}`;
const PREFIX = 'registry:5000/team';
const PUSHED = `registry:5000/team/hello:${HASH}`;
const DIGEST = `registry:5000/team/hello@sha256:${'d'.repeat(64)}`;

const own = (tags: string[], digests: string[] = [], prefix: string | undefined = PREFIX) => ownReferences({ tags, digests }, 'n1', prefix);

describe('names of an image', () => {
  it('that are ours all go, the hold last', () => {
    expect(own([HOLD, BUILT, PUSHED], [DIGEST])).toEqual([BUILT, PUSHED, DIGEST, HOLD]);
  });

  it('that somebody else gave stay, with what they were pulled by', () => {
    expect(own([HOLD, BUILT, 'mine:1'], [DIGEST])).toEqual([BUILT, HOLD]);
    expect(own([HOLD, 'kiln/hello:latest'])).toEqual([HOLD]);
    expect(own([HOLD, 'registry:5000/team/hello:v1'])).toEqual([HOLD]);
    expect(own([HOLD, PUSHED], [], 'elsewhere/team')).toEqual([HOLD]);
  });

  it('stay while another node holds it', () => {
    expect(own([HOLD, BUILT, `${holdName('n2')}:${HASH}`], [DIGEST])).toEqual([HOLD]);
    expect(own([HOLD, BUILT, `${holdName('n1-2')}:${HASH}`])).toEqual([HOLD]);
  });

  it('tell ours from foreign ones', () => {
    expect([BUILT, HOLD].map((tag) => isOurs([tag]))).toEqual([true, true]);
    expect(['kiln/hello:1', 'me/kiln/hello:1', `me/kiln/hello:${HASH}`, 'kiln-agent:latest'].map((tag) => isOurs([tag]))).toEqual(
      Array(4).fill(false),
    );
    expect(holdTag(`sha256:${HASH}${HASH}`)).toBe(HASH);
  });

  it('in the cluster’s registry name their function', () => {
    const other = `registry:5000/team/deep/hello@sha256:${'d'.repeat(64)}`;
    expect(pushedReferences([DIGEST, other, 'hello@sha256:x', 'registry:5000/teams/a@sha256:x'], PREFIX)).toEqual([
      { reference: DIGEST, functionName: 'hello' },
    ]);
    expect(pushedReferences(['me/hello@sha256:x', 'hello@sha256:x'], 'docker.io/me/')).toEqual([
      { reference: 'me/hello@sha256:x', functionName: 'hello' },
    ]);
  });
});
