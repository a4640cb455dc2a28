import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { bytesToHex } from '../../packages/protocol/src/bytes.js';
import { messageToBytes } from '../../packages/protocol/src/wire/codec.js';
import type { Message } from '../../packages/protocol/src/wire/messages.js';
import { goldenMessages } from './messages.js';

/** One file a message: its bytes under the names that `goldenMessages` gives them. */
export const goldenFolder = new URL('./golden/', import.meta.url);
const vectorFolder = new URL('./vectors/', import.meta.url);
const grammar = new URL('../../packages/protocol/src/wire/GRAMMAR.md', import.meta.url);

export const goldenFile = (kind: string): URL => new URL(`${kind}.json`, goldenFolder);

export function makeGolden(kind: Message['kind']): Record<string, string> {
  const samples: Readonly<Record<string, Message>> = goldenMessages[kind];
  return Object.fromEntries(
    Object.entries(samples).map(([name, message]) => [name, bytesToHex(messageToBytes(message))]),
  );
}

export function readGolden(kind: Message['kind']): Record<string, string> {
  return JSON.parse(readFileSync(goldenFile(kind), 'utf8')) as Record<string, string>;
}

/**
 * What the wire means, as far as bytes, grammar and constants say it: prose may change; code blocks, golden files and vectors, the limits
 * among them, may not.
 */
export function schemaHash(): string {
  const blocks = readFileSync(grammar, 'utf8').match(/^```\n[\s\S]*?^```$/gm) ?? [];
  const files = [goldenFolder, vectorFolder].flatMap((folder) =>
    readdirSync(folder)
      .sort()
      // A file is none of the wire and has a version of its own [BK2]; versions are records like any other [VS1].
      .filter((name) => !['backups.json', 'versions.json'].includes(name))
      .map((name) => [name, JSON.stringify(JSON.parse(readFileSync(new URL(name, folder), 'utf8')))]),
  );
  const parts = [...blocks, ...files.flat()];
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex');
}

/** The numbered lines of the grammar. */
export function grammarLines(): readonly { readonly number: number; readonly kind: string; readonly sender: string }[] {
  const lines = readFileSync(grammar, 'utf8').matchAll(/^ ?(\d+) (\S+) +:= .*? {2,}(relay|replica|both)$/gm);
  return [...lines].map(([, number, kind, sender]) => ({
    number: Number(number),
    kind: kind as string,
    sender: sender as string,
  }));
}
