import { parse } from '@kiln/contract/config/field-errors';
import { KilnError } from '@kiln/contract/errors';
import { functionName, versionNumber } from '@kiln/contract/names';
import type { VersionRecord } from '@kiln/contract/records/records';
import { FunctionStore } from '@kiln/state/functions/function-store';
import { Controller, Delete, Inject, Param, Put } from '@nestjs/common';
import { Announcer } from '../../view/announcer.js';
import { Catalog } from '../../view/catalog.js';

/** Pinned versions of one function: each keeps its image for ever. */
const MAX_PINS = 50;

@Controller('v1/functions')
export class PinsController {
  constructor(
    @Inject(FunctionStore) private readonly functions: FunctionStore,
    @Inject(Catalog) private readonly catalog: Catalog,
    @Inject(Announcer) private readonly announcer: Announcer,
  ) {}

  @Put(':name/versions/:version/pin')
  pin(@Param('name') name: string, @Param('version') version: string): Promise<VersionRecord> {
    return this.set(name, version, true);
  }

  @Delete(':name/versions/:version/pin')
  unpin(@Param('name') name: string, @Param('version') version: string): Promise<VersionRecord> {
    return this.set(name, version, false);
  }

  private async set(of: string, version: string, pinned: boolean): Promise<VersionRecord> {
    const name = parse(functionName, of, 'name');
    const { versions } = await this.catalog.get(name);
    const number = parse(versionNumber, Number(version), 'version');
    if (pinned) refuseTooMany(versions, number);
    const record = await this.functions.pin(name, number, pinned);
    await this.announcer.functionChanged(name);
    return record;
  }
}

function refuseTooMany(versions: readonly VersionRecord[], number: number): void {
  const others = versions.filter(({ pinned, version }) => pinned === true && version !== number).length;
  if (others < MAX_PINS) return;
  throw new KilnError('conflict', `${others} versions are pinned already, which is as many as there may be`, {
    fix: 'unpin one that is not needed',
  });
}
