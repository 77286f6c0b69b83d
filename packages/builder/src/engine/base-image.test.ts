import { describe, expect, it } from 'vitest';
import { notPulled } from './base-image.js';

describe('notPulled', () => {
  it.each([
    ["pull access denied for nobody/nothing, repository does not exist or may require 'docker login'", 'bad_request'],
    ['manifest for node:99 not found: manifest unknown: manifest unknown', 'bad_request'],
    ['Get "https://registry-1.docker.io/v2/": net/http: request canceled while waiting for connection', 'unavailable'],
    ['Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io: no such host', 'unavailable'],
    ['toomanyrequests: You have reached your pull rate limit', 'unavailable'],
    ['not pulled within 180 s', 'unavailable'],
  ])('takes a pull that failed for a mistake of the folder only where the image is not there: %s', (why, code) => {
    expect(notPulled('node:99', why)).toMatchObject({ code, message: `base image node:99 can't be pulled: ${why}` });
  });
});
