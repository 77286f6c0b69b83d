import { parse } from '@kiln/contract/field-errors';
import { functionName, versionNumber } from '@kiln/contract/names';
import type { VersionRecord } from '@kiln/contract/records';
import { FunctionStore } from '@kiln/state/function-store';
import { Controller, Delete, Inject, Param, Put } from '@nestjs/common';
import { Announcer } from '../deploy/announcer.js';
import { Catalog } from '../deploy/catalog.js';

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
    await this.catalog.get(name);
    const number = parse(versionNumber, Number(version), 'version');
    const record = await this.functions.pin(name, number, pinned);
    await this.announcer.functionChanged(name);
    return record;
  }
}
