import { ByteWriter } from './byte-writer.js';
import { OP } from './instructions.js';
import type { FunctionType } from './sections.js';

/** Where the counters and helpers of a module are, by their numbers. */
export interface Meter {
  readonly fuel: number;
  readonly depth: number;
  readonly refused: number;
  readonly firstHelper: number;
  readonly chargeMax: number;
  readonly isStrict: boolean;
}

/** The helpers in their order: `meter.firstHelper + HELPER.x` is the number of a function. */
export const HELPER = { oneNaN32: 0, oneNaN64: 1, chargeBytes: 2, chargeItems: 3, grow: 4 } as const;

export interface Helper {
  readonly type: FunctionType;
  /** Locals and code, as in the code section. */
  readonly body: Uint8Array;
}

const I32 = 0x7f;
const F32 = 0x7d;
const F64 = 0x7c;

/** Zero-length copies and fills take the host some hundred times as long as an addition: at cost 1 a loop of them is a way out. */
const BULK_FUEL = 400;
/** Growing calls into the host, and makes all views of the memory anew. */
export const GROW_FUEL = 4_000;
/** An eighth of a page's bytes, as for other bulk work. */
const PAGE_FUEL_SHIFT = 13;
export const PAGE_FUEL = 2 ** PAGE_FUEL_SHIFT;

export function makeHelpers(meter: Meter, memoryPagesMax: number): readonly Helper[] {
  return [
    oneNaN(F32, OP.f32Const, OP.f32Ne, [0, 0, 0xc0, 0x7f]),
    oneNaN(F64, OP.f64Const, OP.f64Ne, [0, 0, 0, 0, 0, 0, 0xf8, 0x7f]),
    charge(meter, (code) => code.u8(OP.localGet, 0, OP.i32Const).s32(3).u8(OP.i32ShrU)),
    charge(meter, (code) =>
      code
        .u8(OP.localGet, 0, OP.i32Const)
        .s32(2 ** 28 - 1)
        .u8(OP.i32And),
    ),
    grow(meter, memoryPagesMax),
  ];
}

/** `(x) → x`, or the one NaN for any of them. What differs between processors and compilers is sign and payload [LB5]. */
function oneNaN(type: number, constant: number, notEqual: number, bits: readonly number[]): Helper {
  const code = new ByteWriter().u8(0);
  code.u8(constant, ...bits);
  code.u8(OP.localGet, 0, OP.localGet, 0, OP.localGet, 0, notEqual);
  code.u8(OP.select, OP.end);
  return helper([type], [type], code);
}

/** `(length) → length`, after charging for it. `cost` leaves an i32 below 2^29 on the stack. */
function charge(meter: Meter, cost: (code: ByteWriter) => ByteWriter): Helper {
  const code = new ByteWriter().u8(0);
  code.u8(OP.globalGet).u32(meter.fuel);
  cost(code).u8(OP.i32Const).s32(BULK_FUEL).u8(OP.i32Add, OP.i32Sub);
  setFuelOrTrap(code, meter);
  code.u8(OP.localGet, 0, OP.end);
  return helper([I32], [I32], code);
}

/**
 * `memory.grow`, charged. The host may refuse what the limits allow, another time or on another machine it would not: that is told apart
 * from the −1 that every replica sees, by a flag and a trap [LB8].
 */
function grow(meter: Meter, memoryPagesMax: number): Helper {
  const code = new ByteWriter().u8(1, 1, I32);
  code.u8(OP.globalGet).u32(meter.fuel);
  code.u8(OP.localGet, 0, OP.i32Const).s32(0xffff).u8(OP.i32And, OP.i32Const).s32(PAGE_FUEL_SHIFT).u8(OP.i32Shl);
  code.u8(OP.i32Const).s32(GROW_FUEL).u8(OP.i32Add, OP.i32Sub);
  setFuelOrTrap(code, meter);
  code.u8(OP.localGet, 0, OP.memoryGrow, 0, OP.localTee, 1, OP.i32Const).s32(-1).u8(OP.i32Eq);
  code.u8(OP.localGet, 0, OP.i32Const).s32(memoryPagesMax).u8(OP.memorySize, 0, OP.i32Sub, OP.i32LeU);
  code.u8(OP.i32And, OP.if, 0x40);
  code.u8(OP.i32Const, 1, OP.globalSet).u32(meter.refused).u8(OP.unreachable, OP.end);
  code.u8(OP.localGet, 1, OP.end);
  return helper([I32], [I32], code);
}

/** Takes the new value from the stack. */
function setFuelOrTrap(code: ByteWriter, meter: Meter): void {
  code.u8(OP.globalSet).u32(meter.fuel);
  code.u8(OP.globalGet).u32(meter.fuel).u8(OP.i32Const, 0, OP.i32LtS);
  code.u8(OP.if, 0x40, OP.unreachable, OP.end);
}

function helper(params: readonly number[], results: readonly number[], code: ByteWriter): Helper {
  return { type: { params: Uint8Array.from(params), results: Uint8Array.from(results) }, body: code.toBytes().slice() };
}
