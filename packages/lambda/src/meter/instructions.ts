import type { ByteReader } from './byte-reader.js';
import { refuse } from './refuse.js';

/**
 * An instruction in the bytes of a body. `opcode` is its first byte, or `0xfc00 | n` for those behind the prefix 0xfc.
 * `start` and `end` are offsets in the bytes that were read.
 */
export interface Instruction {
  readonly opcode: number;
  readonly start: number;
  readonly end: number;
}

export const OP = {
  unreachable: 0x00,
  block: 0x02,
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  br: 0x0c,
  brTable: 0x0e,
  return: 0x0f,
  call: 0x10,
  callIndirect: 0x11,
  select: 0x1b,
  selectOf: 0x1c,
  localGet: 0x20,
  localTee: 0x22,
  globalGet: 0x23,
  globalSet: 0x24,
  f32Store: 0x38,
  f64Store: 0x39,
  memorySize: 0x3f,
  memoryGrow: 0x40,
  i32Const: 0x41,
  i64Const: 0x42,
  f32Const: 0x43,
  f64Const: 0x44,
  i32Eq: 0x46,
  i32LtS: 0x48,
  i32LeU: 0x4d,
  f32Ne: 0x5c,
  f64Ne: 0x62,
  i32Add: 0x6a,
  i32Sub: 0x6b,
  i32And: 0x71,
  i32Or: 0x72,
  i32Shl: 0x74,
  i32ShrU: 0x76,
  f32Copysign: 0x98,
  f64Copysign: 0xa6,
  i32ReinterpretF32: 0xbc,
  i64ReinterpretF64: 0xbd,
  refNull: 0xd0,
  refIsNull: 0xd1,
  refFunc: 0xd2,
  memoryInit: 0xfc08,
  memoryCopy: 0xfc0a,
  memoryFill: 0xfc0b,
  tableInit: 0xfc0c,
  tableCopy: 0xfc0e,
  tableGrow: 0xfc0f,
  tableFill: 0xfc11,
} as const;

/** i32, i64, f32, f64, funcref, externref. Vectors and the references of the GC proposal are not among them. */
const VALUE_TYPES: ReadonlySet<number> = new Set([0x7f, 0x7e, 0x7d, 0x7c, 0x70, 0x6f]);

export function readValueType(reader: ByteReader): number {
  const type = reader.u8();
  if (!VALUE_TYPES.has(type)) throw refuse(`it uses a type that is not allowed (0x${type.toString(16)})`);
  return type;
}

/** Reads one instruction. Whatever is not on the list is refused: a new opcode is a new way to spend time. */
export function readInstruction(reader: ByteReader): Instruction {
  const start = reader.offset;
  let opcode = reader.u8();
  if (opcode === 0xfc) {
    const sub = reader.u32();
    if (sub > 0x11) throw refuse(`it uses an instruction that is not allowed (0xfc 0x${sub.toString(16)})`);
    opcode = 0xfc00 | sub;
    skipPrefixed(reader, opcode);
  } else skipImmediates(reader, opcode);
  return { opcode, start, end: reader.offset };
}

/** What is charged for one of them: divisions, roots and calls take longer than the rest. */
export function costOf(opcode: number): number {
  if (opcode === OP.call) return 2;
  if (opcode === OP.callIndirect || SLOW.has(opcode)) return 4;
  return 1;
}

const SLOW: ReadonlySet<number> = new Set([
  ...[0x6d, 0x6e, 0x6f, 0x70, 0x7f, 0x80, 0x81, 0x82], // integer divisions and remainders
  ...[0x91, 0x95, 0x9f, 0xa3], // square roots and float divisions
]);

function skipImmediates(reader: ByteReader, opcode: number): void {
  if (opcode >= 0x45 && opcode <= 0xc4) return; // numeric, sign extension among them
  if (opcode >= 0x28 && opcode <= 0x3e) {
    skipMemoryArgument(reader);
    return;
  }
  switch (opcode) {
    case OP.unreachable:
    case 0x01: // nop
    case 0x05: // else
    case OP.end:
    case OP.return:
    case 0x1a: // drop
    case OP.select:
    case OP.refIsNull:
      return;
    case OP.block:
    case OP.loop:
    case OP.if:
      skipBlockType(reader);
      return;
    case OP.br:
    case 0x0d: // br_if
    case OP.call:
    case OP.localGet:
    case 0x21: // local.set
    case OP.localTee:
    case OP.globalGet:
    case OP.globalSet:
    case 0x25: // table.get
    case 0x26: // table.set
    case OP.refFunc:
      reader.u32();
      return;
    case OP.brTable:
      for (let left = reader.u32(); left >= 0; left -= 1) reader.u32();
      return;
    case OP.callIndirect:
      reader.u32();
      reader.u32();
      return;
    case OP.selectOf:
      for (let left = reader.u32(); left > 0; left -= 1) readValueType(reader);
      return;
    case OP.memorySize:
    case OP.memoryGrow:
      assertFirstMemory(reader);
      return;
    case OP.i32Const:
    case OP.i64Const:
      reader.skipLeb();
      return;
    case OP.f32Const:
      reader.skip(4);
      return;
    case OP.f64Const:
      reader.skip(8);
      return;
    case OP.refNull:
      readValueType(reader);
      return;
    default:
      throw refuse(`it uses an instruction that is not allowed (0x${opcode.toString(16)})`);
  }
}

function skipPrefixed(reader: ByteReader, opcode: number): void {
  if (opcode <= 0xfc07) return; // saturating truncation
  switch (opcode) {
    case OP.memoryInit:
      reader.u32();
      assertFirstMemory(reader);
      return;
    case OP.memoryCopy:
      assertFirstMemory(reader);
      assertFirstMemory(reader);
      return;
    case OP.memoryFill:
      assertFirstMemory(reader);
      return;
    case OP.tableInit:
    case OP.tableCopy:
      reader.u32();
      reader.u32();
      return;
    default:
      reader.u32();
  }
}

function skipMemoryArgument(reader: ByteReader): void {
  // Bit 6 of the alignment says that a memory index follows.
  if (reader.u32() >= 0x40) throw refuse('it has more than one memory');
  reader.skipLeb();
}

function assertFirstMemory(reader: ByteReader): void {
  if (reader.u32() !== 0) throw refuse('it has more than one memory');
}

function skipBlockType(reader: ByteReader): void {
  const first = reader.u8();
  if (first === 0x40 || VALUE_TYPES.has(first)) return;
  reader.offset -= 1;
  // What is left is the index of a type; a negative number would be a type that is not allowed.
  if (first < 0x80 && first >= 0x40) throw refuse(`it uses a type that is not allowed (0x${first.toString(16)})`);
  reader.skipLeb();
}
