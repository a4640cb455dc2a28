// An engine with the counters that its host sets, and code that counts nothing: what it costs beside the metered one is the price of counting.
import { ByteWriter } from '../../packages/lambda/dist/meter/byte-writer.js';
import { METER_EXPORT } from '../../packages/lambda/dist/meter/meter.js';
import {
  appendItems,
  countImports,
  readGlobalTypes,
  readItems,
  readSections,
  readSize,
  SECTION,
  sectionsToBytes,
  writeSize,
} from '../../packages/lambda/dist/meter/sections.js';

export function unmetered(bytes, { memoryPagesMax, memoryPagesInitial }) {
  const sections = readSections(bytes);
  const { globals: imported } = countImports(sections);
  const globals = readGlobalTypes(sections);
  const first = imported + globals.length;
  appendItems(sections, SECTION.global, Array(3).fill(Uint8Array.of(0x7f, 1, 0x41, 0, 0x0b)));
  const mutable = globals.flatMap(({ isMutable }, i) => (isMutable ? [imported + i] : []));
  const exported = [
    [METER_EXPORT.fuel, first],
    [METER_EXPORT.depth, first + 1],
    [METER_EXPORT.refused, first + 2],
    ...mutable.map((index, i) => [`${METER_EXPORT.global}${i}`, index]),
  ];
  appendItems(
    sections,
    SECTION.export,
    exported.map(([name, index]) => new ByteWriter().name(name).u8(3).u32(index).toBytes()),
  );
  const [{ initial }] = readItems(sections, SECTION.memory, readSize);
  const size = writeSize(new ByteWriter().u32(1), memoryPagesInitial ?? initial, memoryPagesMax);
  sections.set(SECTION.memory, size.toBytes().slice());
  return sectionsToBytes(sections);
}
