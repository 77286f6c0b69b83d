import type { StoreView } from '@kiln/contract/api/control-api';
import { Controller, Get, HttpCode, Inject, Post } from '@nestjs/common';
import { HeldStore } from '../../cluster/held-store.js';

@Controller('v1/store')
export class StoreController {
  constructor(@Inject(HeldStore) private readonly held: HeldStore) {}

  @Get()
  view(): StoreView {
    return this.held.view();
  }

  @Post('restore')
  @HttpCode(200)
  restore(): Promise<StoreView> {
    return this.held.restore();
  }

  @Post('accept')
  @HttpCode(200)
  accept(): Promise<StoreView> {
    return this.held.accept();
  }
}
