import { refuse } from './refuse.js';
import { type FunctionType, readExports, readFunctionTypes, readItems, readSections, SECTION } from './sections.js';

/** [LB4] What a module exports beside `memory`, by the types of parameters and results: 7f is an i32, 7e an i64. */
const FUNCTIONS: Record<string, string> = { alloc: '7f → 7f', merge: '7f,7f → 7e', _initialize: ' → ' };
const OPTIONAL = '_initialize';

/** Throws `LAMBDA_INVALID` for a module that does not export what a lambda has to. It imports nothing, so functions are numbered from 0. */
export function assertAbi(module: Uint8Array): void {
  const sections = readSections(module);
  const exported = new Map(readExports(sections).map((entry) => [entry.name, entry]));
  if (exported.get('memory')?.kind !== 2) throw refuse('it exports no memory under that name');
  const types = readFunctionTypes(sections);
  const typeOfFunction = readItems(sections, SECTION.function, (reader) => reader.u32());
  for (const [name, wanted] of Object.entries(FUNCTIONS)) {
    const entry = exported.get(name);
    if (entry === undefined && name === OPTIONAL) continue;
    if (entry?.kind !== 0) throw refuse(`it exports no function ${name}`);
    const type = types[typeOfFunction[entry.index] as number] as FunctionType;
    if (describe(type) !== wanted) throw refuse(`its ${name} has other parameters or results than the interface says`);
  }
}

function describe({ params, results }: FunctionType): string {
  return [params, results].map((types) => Array.from(types, (type) => type.toString(16)).join(',')).join(' → ');
}
