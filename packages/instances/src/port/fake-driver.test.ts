import { describeDriver } from './driver-conformance.fixture.js';
import { FakeDriver } from './fake-driver.fixture.js';

describeDriver('fake', async () => {
  const driver = new FakeDriver();
  return { driver, image: (behaviour) => behaviour, existing: async () => driver.running.size, close: async () => undefined };
});
