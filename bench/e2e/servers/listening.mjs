/** What {@link startServer} waits for. A bench that measures memory asks by a signal to collect what nobody needs. */
export function listening(port) {
  if (globalThis.gc !== undefined) process.on('SIGUSR2', () => globalThis.gc());
  process.stdout.write(`port ${port}\n`);
}
