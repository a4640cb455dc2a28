import { ByteReader } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { readInstruction, OP, readValueType } from './instructions.js';
import { refuse } from './refuse.js';

export const SECTION = {
  custom: 0,
  type: 1,
  import: 2,
  function: 3,
  table: 4,
  memory: 5,
  global: 6,
  export: 7,
  start: 8,
  element: 9,
  code: 10,
  data: 11,
  dataCount: 12,
} as const;

/** The order in which sections stand; their ids are not in this order. */
const ORDER: readonly number[] = [1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11];
const HEADER = Uint8Array.of(0x00, 0x61, 0x73, 0x6d, 0x01, 0x00, 0x00, 0x00);

/** The payload of each section by its id. Custom sections, which say nothing about what a module does, are left out. */
export type Sections = Map<number, Uint8Array>;

export interface FunctionType {
  readonly params: Uint8Array;
  readonly results: Uint8Array;
}

export interface GlobalType {
  readonly type: number;
  readonly isMutable: boolean;
}

export function readSections(bytes: Uint8Array): Sections {
  const reader = new ByteReader(bytes);
  const header = reader.take(HEADER.length);
  if (header.some((byte, i) => byte !== HEADER[i])) throw refuse('it is not a WebAssembly module');
  const sections: Sections = new Map();
  while (!reader.isAtEnd) {
    const id = reader.u8();
    const payload = reader.take(reader.u32());
    if (id === SECTION.custom) continue;
    if (!ORDER.includes(id)) throw refuse(`it has a section that is not allowed (${id})`);
    sections.set(id, payload);
  }
  return sections;
}

export function sectionsToBytes(sections: Sections): Uint8Array {
  const writer = new ByteWriter().bytes(HEADER);
  for (const id of ORDER) {
    const payload = sections.get(id);
    if (payload !== undefined) writer.u8(id).sized(payload);
  }
  return writer.toBytes().slice();
}

/** The items of a section that is a vector; none where there is no such section. */
export function readItems<Item>(sections: Sections, id: number, read: (reader: ByteReader) => Item): Item[] {
  const payload = sections.get(id);
  if (payload === undefined) return [];
  const reader = new ByteReader(payload);
  return Array.from({ length: reader.u32() }, () => read(reader));
}

/** Puts items behind those that a section has. */
export function appendItems(sections: Sections, id: number, items: readonly Uint8Array[]): void {
  const reader = new ByteReader(sections.get(id) ?? Uint8Array.of(0));
  const writer = new ByteWriter().u32(reader.u32() + items.length).bytes(reader.rest());
  for (const item of items) writer.bytes(item);
  sections.set(id, writer.toBytes().slice());
}

export function readFunctionTypes(sections: Sections): FunctionType[] {
  return readItems(sections, SECTION.type, (reader) => {
    if (reader.u8() !== 0x60) throw refuse('it uses a type that is no function');
    return { params: readValueTypes(reader), results: readValueTypes(reader) };
  });
}

function readValueTypes(reader: ByteReader): Uint8Array {
  return Uint8Array.from({ length: reader.u32() }, () => readValueType(reader));
}

/** How many functions and globals are imported, which come before the module's own in the numbering. */
export function countImports(sections: Sections): { functions: number; globals: number; all: number } {
  const kinds = readItems(sections, SECTION.import, (reader) => {
    reader.name();
    reader.name();
    const kind = reader.u8();
    if (kind === 0) reader.u32();
    else if (kind === 3) reader.skip(2);
    else throw refuse('it imports a memory or a table');
    return kind;
  });
  const count = (kind: number): number => kinds.filter((other) => other === kind).length;
  return { functions: count(0), globals: count(3), all: kinds.length };
}

export function readGlobalTypes(sections: Sections): GlobalType[] {
  return readItems(sections, SECTION.global, (reader) => {
    const global = { type: readValueType(reader), isMutable: reader.u8() === 1 };
    while (readInstruction(reader).opcode !== OP.end);
    return global;
  });
}

export interface Export {
  readonly name: string;
  /** 0 function, 1 table, 2 memory, 3 global. */
  readonly kind: number;
  readonly index: number;
}

export function readExports(sections: Sections): Export[] {
  return readItems(sections, SECTION.export, (reader) => ({
    name: reader.name(),
    kind: reader.u8(),
    index: reader.u32(),
  }));
}

/** `max` is undefined where there is none. */
export interface Size {
  readonly initial: number;
  readonly max: number | undefined;
}

/** Of a memory in pages, of a table in elements. */
export function readSize(reader: ByteReader): Size {
  const flags = reader.u8();
  if (flags > 1) throw refuse('it has a memory or a table that is shared or 64 bits wide');
  const initial = reader.u32();
  return { initial, max: flags === 1 ? reader.u32() : undefined };
}

export function writeSize(writer: ByteWriter, initial: number, max: number): ByteWriter {
  return writer.u8(1).u32(initial).u32(max);
}
