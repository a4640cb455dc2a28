import { closeSync, openSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz.js';

/**
 * The process in which hostile bytes are tried: its heap is bounded, so that it dies of what would exhaust a page. The number of the
 * case in hand is in a file, for whoever started it to read when it does not come back.
 */
export async function runChild(argv: readonly string[]): Promise<void> {
  // Links wait for time that never passes here: a case must not depend on how fast it runs.
  Object.assign(globalThis, {
    setTimeout: () => 0,
    setInterval: () => 0,
    clearTimeout: () => {},
    clearInterval: () => {},
  });
  const options = { frames: '200000', proofs: '100000', seed: '1', from: '0', cases: '' };
  const { values } = parseArgs({
    args: [...argv],
    options: {
      ...(Object.fromEntries(
        Object.entries(options).map(([name, value]) => [name, { type: 'string', default: value }]),
      ) as Record<keyof typeof options, { type: 'string'; default: string }>),
      'case-file': { type: 'string' },
      // For the test of what watches over this process.
      'die-at': { type: 'string' },
    },
  });
  const file = values['case-file'] === undefined ? undefined : openSync(values['case-file'], 'w');
  const numberBytes = Buffer.alloc(8);
  const report = await fuzz({
    frames: Number(values.frames),
    proofs: Number(values.proofs),
    seed: Number(values.seed),
    from: Number(values.from),
    ...(values.cases === '' ? {} : { cases: Number(values.cases) }),
    onCase: (number) => {
      if (file === undefined) return;
      numberBytes.writeDoubleBE(number);
      writeSync(file, numberBytes, 0, 8, 0);
      if (String(number) === values['die-at']) process.kill(process.pid, 'SIGKILL');
    },
    onProgress: (frames, findings) => process.stdout.write(`${JSON.stringify({ frames, findings })}\n`),
  });
  if (file !== undefined) closeSync(file);
  process.stdout.write(`${JSON.stringify({ report, rssBytes: process.memoryUsage().rss })}\n`);
}
