import { describe, expect, it } from 'vitest';
import { LimitedPlaces } from './limited-places.js';

describe('LimitedPlaces', () => {
  it('one holder can take its share and not the places of others', () => {
    const shares = new LimitedPlaces('uploads', 3, 2);
    const first = shares.take('a');
    shares.take('a');
    expect(() => shares.take('a')).toThrowError(/this key has 2 uploads/);
    shares.take('b');
    expect(() => shares.take('b')).toThrowError(/this router has 3 uploads/);
    first();
    first();
    shares.take('b');
    expect(() => shares.take('c')).toThrowError(/this router has 3 uploads/);
  });
});
