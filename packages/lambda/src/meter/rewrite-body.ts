import { ByteReader } from './byte-reader.js';
import { ByteWriter } from './byte-writer.js';
import { HELPER, type Meter } from './helpers.js';
import { costOf, type Instruction, OP, readInstruction, readValueType } from './instructions.js';
import { refuse } from './refuse.js';

export interface FunctionShape {
  readonly params: number;
  /** The type of a block that leaves the function's results, encoded. */
  readonly blockType: Uint8Array;
}

/** What a frame takes of the stack at least, and for each parameter and local. A heuristic for native frames, on the safe side. */
const FRAME_BYTES = 64 + 8 * 8;
const SLOT_BYTES = 8;

/** Pushes the value on the stack through a helper, right before the instruction. */
const HELPER_BEFORE: ReadonlyMap<number, number> = new Map([
  [OP.f32Store, HELPER.oneNaN32],
  [OP.f64Store, HELPER.oneNaN64],
  [OP.i32ReinterpretF32, HELPER.oneNaN32],
  [OP.i64ReinterpretF64, HELPER.oneNaN64],
  // Of its two operands the second, whose sign it takes, is on top; the first keeps its payload until it is stored.
  [OP.f32Copysign, HELPER.oneNaN32],
  [OP.f64Copysign, HELPER.oneNaN64],
  [OP.memoryInit, HELPER.chargeBytes],
  [OP.memoryCopy, HELPER.chargeBytes],
  [OP.memoryFill, HELPER.chargeBytes],
  [OP.tableInit, HELPER.chargeItems],
  [OP.tableCopy, HELPER.chargeItems],
  [OP.tableFill, HELPER.chargeItems],
]);

/**
 * A function's body that charges for itself: at its entry, and at the head of each loop, what stands between there and the next loop [LB2]; and
 * that takes its frame from the stack's budget and gives it back [LB3].
 *
 * The code is wrapped in a block, and `return` becomes a branch to its end, so that there is one way out.
 */
export function rewriteBody(body: Uint8Array, shape: FunctionShape, meter: Meter, localsMax: number): Uint8Array {
  const reader = new ByteReader(body);
  const locals = readLocals(reader);
  if (locals > localsMax) throw refuse(`it has a function with ${locals} locals`);
  const code = new ByteWriter().bytes(body.subarray(0, reader.offset));
  const instructions: Instruction[] = [];
  while (!reader.isAtEnd) instructions.push(readInstruction(reader));
  const costs = costsOfRegions(instructions, meter.chargeMax);

  const frame = FRAME_BYTES + SLOT_BYTES * (shape.params + locals);
  enter(code, meter, frame, costs.next());
  code.u8(OP.block).bytes(shape.blockType);
  let nesting = 0;
  for (const { opcode, start, end } of instructions) {
    const helper = HELPER_BEFORE.get(opcode);
    if (helper !== undefined) code.u8(OP.call).u32(meter.firstHelper + helper);
    if (opcode === OP.return) code.u8(OP.br).u32(nesting);
    else if (opcode === OP.memoryGrow) code.u8(OP.call).u32(meter.firstHelper + HELPER.grow);
    else if (opcode === OP.tableGrow) throw refuse('it grows a table');
    else code.bytes(body.subarray(start, end));

    if (opcode === OP.block || opcode === OP.loop || opcode === OP.if) nesting += 1;
    else if (opcode === OP.end) nesting -= 1;
    if (opcode === OP.loop) chargeFuel(code, meter, costs.next());
  }
  // The last `end` of the code has closed our block.
  add(code, meter.depth, frame);
  return code.u8(OP.end).toBytes();
}

function readLocals(reader: ByteReader): number {
  let locals = 0;
  for (let groups = reader.u32(); groups > 0; groups -= 1) {
    locals += reader.u32();
    readValueType(reader);
  }
  return locals;
}

/** The costs of the regions in the order in which they begin. */
class RegionCosts {
  #next = 0;

  constructor(readonly costs: readonly number[]) {}

  next(): number {
    return this.costs[this.#next++] as number;
  }
}

/** A region is the function, or a loop, without the loops inside of it: its code is passed once for each pass of its head. */
function costsOfRegions(instructions: readonly Instruction[], chargeMax: number): RegionCosts {
  const costs = [0];
  /** For each open block the region that it belongs to. */
  const regions = [0];
  for (const { opcode } of instructions) {
    const region = regions.at(-1) as number;
    costs[region] = Math.min((costs[region] as number) + costOf(opcode), chargeMax);
    if (opcode === OP.loop) regions.push(costs.push(0) - 1);
    else if (opcode === OP.block || opcode === OP.if) regions.push(region);
    else if (opcode === OP.end) regions.pop();
  }
  return new RegionCosts(costs);
}

/** Both counters are below 0 or not, so one comparison of their union looks at both. */
function enter(code: ByteWriter, meter: Meter, frame: number, cost: number): void {
  add(code, meter.depth, -frame);
  add(code, meter.fuel, -cost);
  code.u8(OP.globalGet).u32(meter.depth).u8(OP.globalGet).u32(meter.fuel).u8(OP.i32Or);
  trapIfNegative(code);
}

function chargeFuel(code: ByteWriter, meter: Meter, cost: number): void {
  add(code, meter.fuel, -cost);
  code.u8(OP.globalGet).u32(meter.fuel);
  trapIfNegative(code);
}

function trapIfNegative(code: ByteWriter): void {
  code.u8(OP.i32Const, 0, OP.i32LtS, OP.if, 0x40, OP.unreachable, OP.end);
}

function add(code: ByteWriter, global: number, amount: number): void {
  code.u8(OP.globalGet).u32(global).u8(OP.i32Const).s32(amount).u8(OP.i32Add).u8(OP.globalSet).u32(global);
}
