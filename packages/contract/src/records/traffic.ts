import { z } from 'zod';
import { versionNumber } from '../names.js';
import { stored } from '../stored.js';

const share = { version: versionNumber, weight: z.int().min(0).max(100) };

const trafficShare = z.strictObject(share);

export const storedShare = stored(share);

/** Integer weights that sum to exactly 100, each version once. */
export const traffic = z
  .array(trafficShare)
  .min(1)
  .max(100)
  .refine((shares) => shares.reduce((sum, share) => sum + share.weight, 0) === 100, 'weights must sum to exactly 100')
  .refine((shares) => new Set(shares.map((share) => share.version)).size === shares.length, 'names a version twice')
  .meta({ id: 'Traffic' });
export type Traffic = z.infer<typeof traffic>;
