import { ByteWriter } from './byte-writer.js';
import { ByteReader } from './byte-reader.js';
import { makeHelpers, type Meter } from './helpers.js';
import { readValueType } from './instructions.js';
import { refuse } from './refuse.js';
import { type FunctionShape, rewriteBody } from './rewrite-body.js';
import {
  appendItems,
  countImports,
  type FunctionType,
  readExports,
  readFunctionTypes,
  readGlobalTypes,
  readItems,
  readSections,
  readSize,
  SECTION,
  type Sections,
  sectionsToBytes,
  writeSize,
} from './sections.js';

/** The names under which a metered module exports what its host sets and reads. */
export const METER_EXPORT = {
  /** Mutable i32: what is left of the fuel; below 0 when it ran out. */
  fuel: 'mangrove:fuel',
  /** Mutable i32: what is left of the stack; below 0 when it ran out. */
  depth: 'mangrove:depth',
  /** Mutable i32: 1 when the host refused memory that the limits allow. */
  refused: 'mangrove:refused',
  /** Followed by a number: the module's own mutable globals, for those who reset them. */
  global: 'mangrove:global:',
} as const;

export interface MeterOptions {
  /** At most so many pages of 64 KiB. */
  readonly memoryPagesMax: number;
  /** Begin with so few, where a module asks for more than it needs. */
  readonly memoryPagesInitial?: number;
  /** At most so much is charged at once. For interpreters, whose loop has a branch for each opcode. Endless by default. */
  readonly chargeMax?: number;
  /** Refuse everything that a module of a user has no need of [LB4]. */
  readonly isStrict: boolean;
}

const LOCALS_MAX = 10_000;
const BODY_BYTES_MAX = 256 * 1024;
const TABLE_ELEMENTS_MAX = 10_000;

/**
 * Rewrites a module so that it counts fuel and stack, keeps to the memory it is allowed and has one NaN [LB2, LB3, LB5].
 * Throws `LAMBDA_INVALID` for a module that is not valid, or uses what cannot be counted.
 *
 * One pass over the binary, without an intermediate form. What is added stands behind what is there, so that nothing is renumbered.
 */
export function meterModule(bytes: Uint8Array<ArrayBuffer>, options: MeterOptions): Uint8Array<ArrayBuffer> {
  // Before all else: a module that names a global that only we will add is not valid now, and would be afterwards.
  if (!WebAssembly.validate(bytes)) throw refuse('it is not a valid WebAssembly module');
  const sections = readSections(bytes);
  const imports = countImports(sections);
  if (options.isStrict) assertPlain(sections, imports.all);

  const types = readFunctionTypes(sections);
  const typeOfFunction = readItems(sections, SECTION.function, (reader) => reader.u32());
  const globals = readGlobalTypes(sections);
  const firstGlobal = imports.globals + globals.length;
  const chargeMax = options.chargeMax ?? 2 ** 30;
  const meter: Meter = {
    fuel: firstGlobal,
    depth: firstGlobal + 1,
    refused: firstGlobal + 2,
    firstHelper: imports.functions + typeOfFunction.length,
    chargeMax,
    isStrict: options.isStrict,
  };

  const pagesMax = limitMemory(sections, options);
  if (options.isStrict) limitTables(sections);
  const addedTypes = new AddedTypes(types);
  const shapes = typeOfFunction.map((type) => shapeOf(types[type] as FunctionType, addedTypes));
  const helpers = makeHelpers(meter, pagesMax);
  const helperTypes = helpers.map(({ type }) => addedTypes.indexOf(type));

  sections.set(SECTION.code, rewriteCode(sections, shapes, meter));
  appendItems(
    sections,
    SECTION.code,
    helpers.map(({ body }) => new ByteWriter().sized(body).toBytes()),
  );
  appendItems(
    sections,
    SECTION.function,
    helperTypes.map((type) => new ByteWriter().u32(type).toBytes()),
  );
  appendItems(sections, SECTION.type, addedTypes.added.map(typeToBytes));
  // Three mutable i32 that begin at 0: whoever sets no fuel has none.
  appendItems(sections, SECTION.global, Array(3).fill(Uint8Array.of(0x7f, 1, 0x41, 0, 0x0b)));
  const exported: [string, number][] = [
    [METER_EXPORT.fuel, meter.fuel],
    [METER_EXPORT.depth, meter.depth],
    [METER_EXPORT.refused, meter.refused],
    ...(options.isStrict
      ? []
      : mutableGlobals(
          globals.map(({ isMutable }) => isMutable),
          imports.globals,
        )),
  ];
  appendItems(
    sections,
    SECTION.export,
    exported.map(([name, index]) => new ByteWriter().name(name).u8(3).u32(index).toBytes()),
  );
  return sectionsToBytes(sections) as Uint8Array<ArrayBuffer>;
}

/** [LB4] A module of a user imports nothing, starts nothing, and does not use our names. */
function assertPlain(sections: Sections, imports: number): void {
  if (imports > 0) throw refuse('it imports something; a lambda gets nothing but its input');
  if (sections.has(SECTION.start)) throw refuse('it has a start section; export `_initialize` instead');
  for (const { name } of readExports(sections)) {
    if (name.startsWith('mangrove:')) throw refuse(`it exports ${name}, a name of the sandbox`);
  }
}

function mutableGlobals(isMutable: readonly boolean[], imported: number): [string, number][] {
  const indices = isMutable.flatMap((mutable, i) => (mutable ? [imported + i] : []));
  return indices.map((index, i) => [`${METER_EXPORT.global}${i}`, index]);
}

/** Returns the pages that the memory may have now: its own limit, where this is lower. */
function limitMemory(sections: Sections, options: MeterOptions): number {
  const sizes = readItems(sections, SECTION.memory, readSize);
  const [size] = sizes;
  if (size === undefined || sizes.length > 1) throw refuse('it has no memory, or more than one');
  const initial = Math.min(size.initial, options.memoryPagesInitial ?? size.initial);
  if (initial > options.memoryPagesMax)
    throw refuse(`it asks for ${initial} pages of memory; ${options.memoryPagesMax} are allowed`);
  const max = Math.min(size.max ?? options.memoryPagesMax, options.memoryPagesMax);
  sections.set(SECTION.memory, writeSize(new ByteWriter().u32(1), initial, max).toBytes().slice());
  return max;
}

function limitTables(sections: Sections): void {
  const tables = readItems(sections, SECTION.table, (reader) => ({
    type: readValueType(reader),
    size: readSize(reader),
  }));
  if (tables.length === 0) return;
  const writer = new ByteWriter().u32(tables.length);
  for (const { type, size } of tables) {
    if (size.initial > TABLE_ELEMENTS_MAX) throw refuse(`it has a table of ${size.initial} elements`);
    writeSize(writer.u8(type), size.initial, size.initial);
  }
  sections.set(SECTION.table, writer.toBytes().slice());
}

function rewriteCode(sections: Sections, shapes: readonly FunctionShape[], meter: Meter): Uint8Array {
  const reader = new ByteReader(sections.get(SECTION.code) ?? Uint8Array.of(0));
  const writer = new ByteWriter().u32(reader.u32());
  for (const shape of shapes) {
    const body = reader.take(reader.u32());
    if (meter.isStrict && body.length > BODY_BYTES_MAX) throw refuse(`it has a function of ${body.length} bytes`);
    writer.sized(rewriteBody(body, shape, meter, LOCALS_MAX));
  }
  return writer.toBytes().slice();
}

function shapeOf({ params, results }: FunctionType, types: AddedTypes): FunctionShape {
  if (results.length === 0) return { params: params.length, blockType: Uint8Array.of(0x40) };
  if (results.length === 1) return { params: params.length, blockType: results };
  const index = types.indexOf({ params: new Uint8Array(), results });
  return { params: params.length, blockType: new ByteWriter().s32(index).toBytes() };
}

/** The types that are needed beside those of the module. */
class AddedTypes {
  readonly added: FunctionType[] = [];
  readonly #indices = new Map<string, number>();

  constructor(readonly own: readonly FunctionType[]) {}

  indexOf(type: FunctionType): number {
    const key = `${type.params} ${type.results}`;
    const known = this.#indices.get(key);
    if (known !== undefined) return known;
    const index = this.own.length + this.added.push(type) - 1;
    this.#indices.set(key, index);
    return index;
  }
}

function typeToBytes({ params, results }: FunctionType): Uint8Array {
  return new ByteWriter().u8(0x60).sized(params).sized(results).toBytes();
}
