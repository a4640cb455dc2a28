/** What {@link startServer} waits for. */
export function listening(port) {
  process.stdout.write(`port ${port}\n`);
}
