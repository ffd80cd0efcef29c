// An independent FHIRcast client, @medplum/core, against a running hub: node fhircast_medplum.mjs BASE TOPIC
// (NODE_EXTRA_CA_CERTS names the certificate). Says one JSON object a line; a line on standard input is an order.
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';

// The hub of a test lives at a time of its own: the order `clock MS` sets this program's clock by it.
const RealDate = Date;
let ahead = 0;
globalThis.Date = class extends RealDate {
  constructor(...parts) {
    if (parts.length === 0) super(RealDate.now() + ahead);
    else super(...parts);
  }
  static now() {
    return RealDate.now() + ahead;
  }
};

const require = createRequire(`${process.env.TAPWARD_NODE}/package.json`);
globalThis.WebSocket = require('ws');
const { MedplumClient } = require('@medplum/core');

const [base, topic] = process.argv.slice(2);
const say = (what) => process.stdout.write(`${JSON.stringify(what)}\n`);
const medplum = new MedplumClient({ baseUrl: base, cacheTime: 0 });
const names = ['Patient-open', 'Patient-close', 'Encounter-open', 'syncerror'];
const subscription = await medplum.fhircastSubscribe(topic, names);
const connection = medplum.fhircastConnect(subscription);
connection.addEventListener('connect', () => say({ connected: true }));
connection.addEventListener('disconnect', () => say({ disconnected: true }));
connection.addEventListener('message', ({ payload }) => say({ event: payload }));
const patient = (id) => ({ key: 'patient', resource: { resourceType: 'Patient', id, identifier: [{ value: id }] } });
const orders = {
  open: (id) => medplum.fhircastPublish(topic, 'Patient-open', patient(id)),
  close: (id) => medplum.fhircastPublish(topic, 'Patient-close', patient(id)),
  context: async () => say({ context: await medplum.fhircastGetContext(topic) }),
  clock: (ms) => (ahead = Number(ms) - RealDate.now()),
  leave: () => medplum.fhircastUnsubscribe(subscription),
};
for await (const line of createInterface({ input: process.stdin })) {
  const [order, argument] = line.split(' ');
  if (order === 'end') process.exit(0);
  try {
    await orders[order](argument);
    say({ done: order });
  } catch (error) {
    say({ failed: order, why: String(error) });
  }
}
