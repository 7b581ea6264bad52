/** A program that brings events in by the public door: run as a process of its own, so that it can be killed. */
import { readFileSync } from 'node:fs';
import { openProducer, type ProducerConfig } from '../../src/index.js';

const [config, file] = process.argv.slice(2) as [string, string];
const producer = await openProducer(JSON.parse(config) as ProducerConfig);
process.stdout.write('open\n');
let sent = 0;
for (const line of readFileSync(file, 'utf8').split('\n')) {
  if (line === '') continue;
  while (producer.offer(JSON.parse(line) as Record<string, unknown>) === 'full') await producer.room();
  if (++sent % 50 === 0) {
    await producer.flush();
    process.stdout.write(`${sent}\n`);
  }
}
await producer.flush();
process.stdout.write(`${sent}\n`);
// Nothing more to say, and never the last word: whoever started it ends it.
setInterval(() => undefined, 1_000);
