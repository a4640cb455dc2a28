import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type ErrorCode, MangroveError } from '@mangrove/protocol';
import { errorCodeToWire } from '../../packages/protocol/src/errors.js';
import ts from 'typescript';
import { describe, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
/** Those with examples. */
const PAGES = [
  'README.md',
  'docs/guide.md',
  'docs/simulation.md',
  'packages/client/README.md',
  'packages/lambda/README.md',
  'packages/relay/README.md',
];
const LINKING = [
  ...PAGES,
  'ARCHITECTURE.md',
  'CONTRIBUTING.md',
  'THREAT_MODEL.md',
  'bench/README.md',
  'docs/decisions/README.md',
  'docs/scenarios.md',
  'docs/testing.md',
  'packages/lambda/SPEC.md',
  'packages/protocol/SPEC.md',
  'packages/protocol/src/wire/GRAMMAR.md',
  'test/interop/README.md',
];
const COMPILE_MS_MAX = 120_000;

const read = (path: string): string => readFileSync(join(root, path), 'utf8');

/** Libraries that examples use and that the tree does not install: what is checked is our side of them. */
const AMBIENT = `
declare module '@tiptap/core';
declare module '@tiptap/extension-collaboration';
declare module '@tiptap/extension-collaboration-caret';
declare module '@tiptap/starter-kit';
`;

const SOURCES = {
  '@mangrove/protocol': ['packages/protocol/src/index.ts'],
  '@mangrove/protocol/simulation': ['packages/protocol/src/simulation/index.ts'],
  '@mangrove/client': ['packages/client/src/index.ts'],
  '@mangrove/client/worker': ['packages/client/src/worker/entry.ts'],
  '@mangrove/lambda': ['packages/lambda/src/index.ts'],
  '@mangrove/lambda/node': ['packages/lambda/src/node.ts'],
  '@mangrove/relay/node': ['packages/relay/src/runtimes/node.ts'],
  '@mangrove/relay/auth': ['packages/relay/src/auth.ts'],
  '@mangrove/relay/durable-object': ['packages/relay/src/runtimes/durable-object.ts'],
};

/**
 * The `ts` blocks of a page as modules, each with the hidden preamble that stands right above it. Everything else is blank lines,
 * so that a diagnostic's line is the page's line.
 */
function readExamples(page: string): ReadonlyMap<string, string> {
  const lines = read(page).split('\n');
  const examples = new Map<string, string>();
  let kept: string[] = [];
  let inside: 'text' | 'preamble' | 'example' | 'other' = 'text';
  for (const [i, line] of lines.entries()) {
    let keep = false;
    if (inside === 'text') {
      if (line === '<!-- preamble') inside = 'preamble';
      else if (line === '```ts') inside = 'example';
      else if (line.startsWith('```')) inside = 'other';
      // A preamble belongs to the block that follows it, with nothing but comments in between.
      else if (!line.startsWith('<!--')) kept = kept.map(() => '');
    } else if (inside === 'preamble' ? line === '-->' : line === '```') {
      if (inside === 'example') {
        examples.set(join(root, `${page}.${i + 1}.ts`), [...kept, ''].join('\n'));
        kept = kept.map(() => '');
      }
      inside = 'text';
    } else keep = inside !== 'other';
    kept.push(keep ? line : '');
  }
  return examples;
}

/** Compiled as an app with a bundler would be, against the sources. */
function compile(examples: ReadonlyMap<string, string>): readonly string[] {
  const ambient = join(root, 'docs/ambient.d.ts');
  const files = new Map([...examples, [ambient, AMBIENT]]);
  const options: ts.CompilerOptions = {
    target: ts.ScriptTarget.ES2023,
    lib: ['lib.es2023.d.ts', 'lib.dom.d.ts', 'lib.dom.iterable.d.ts', 'lib.dom.asynciterable.d.ts'],
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    moduleDetection: ts.ModuleDetectionKind.Force,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: true,
    skipLibCheck: true,
    noEmit: true,
    types: ['node', 'vite/client'],
    paths: Object.fromEntries(Object.entries(SOURCES).map(([name, paths]) => [name, paths.map((p) => join(root, p))])),
  };
  const host = ts.createCompilerHost(options);
  const { readFile, fileExists, getSourceFile } = host;
  host.getCurrentDirectory = () => root;
  host.readFile = (path) => files.get(path) ?? readFile(path);
  host.fileExists = (path) => files.has(path) || fileExists(path);
  host.getSourceFile = (path, ...rest) => {
    const text = files.get(path);
    return text === undefined ? getSourceFile(path, ...rest) : ts.createSourceFile(path, text, rest[0]);
  };
  const program = ts.createProgram([...files.keys()], options, host);
  return [...examples.keys()].flatMap((path) => {
    const file = program.getSourceFile(path);
    return [...program.getSyntacticDiagnostics(file), ...program.getSemanticDiagnostics(file)].map((diagnostic) => {
      const { line } = ts.getLineAndCharacterOfPosition(file as ts.SourceFile, diagnostic.start ?? 0);
      const page = path.slice(root.length).replace(/\.\d+\.ts$/, '');
      return `${page}:${line + 1} ${ts.flattenDiagnosticMessageText(diagnostic.messageText, ' ')}`;
    });
  });
}

/** The anchors of a page's headings, as hosts of Markdown make them. */
function anchorsOf(path: string): readonly string[] {
  const headings = read(path).matchAll(/^#+ (.+)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N}\s_-]/gu, '')
      .replaceAll(' ', '-'),
  );
}

function brokenLinks(page: string): readonly string[] {
  const links = [...read(page).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = '']) => link);
  return links.filter((link) => {
    if (/^[a-z]+:/.test(link)) return false;
    const [path = '', anchor] = link.split('#');
    const target = path === '' ? page : join(dirname(page), path);
    if (!existsSync(join(root, target))) return true;
    return anchor !== undefined && !anchorsOf(target).includes(anchor);
  });
}

/** In the order of their numbers. */
const errorCodes = [...read('packages/protocol/src/errors.ts').matchAll(/^ {2}([A-Z_]+): \{$/gm)].map(
  ([, code]) => code as ErrorCode,
);

describe('the documentation', () => {
  test('has examples that compile against the sources', { timeout: COMPILE_MS_MAX }, () => {
    const examples = new Map(PAGES.flatMap((page) => [...readExamples(page)]));
    expect(examples.size).toBeGreaterThan(15);
    // One that is wrong among them, to know that they are looked at.
    const wrong = "\nimport { createClient } from '@mangrove/client';\ncreateClient({});\n";
    const faults = compile(new Map([...examples, [join(root, 'docs/wrong.md.1.ts'), wrong]]));
    expect(faults).toEqual([expect.stringMatching(/^docs\/wrong\.md:3 .*'name'/)]);
  });

  test.each(LINKING)('has no broken link in %s', (page) => {
    expect(brokenLinks(page)).toEqual([]);
  });

  test('has each decision in their index', () => {
    const files = readdirSync(join(root, 'docs/decisions'))
      .filter((name) => name !== 'README.md')
      .sort();
    const listed = [...read('docs/decisions/README.md').matchAll(/^\| \[\w+\]\((.+)\) \|/gm)];
    expect(listed.map(([, file]) => file)).toEqual(files);
  });

  test('lists every error code in the guide, with its remedy and whether to retry', () => {
    expect(errorCodes).toContain('INTERNAL');
    const rows = [...read('docs/guide.md').matchAll(/^\| `([A-Z_]+)` \| [^|]+ \| (yes|no) \| (.+) \|$/gm)];
    expect(rows.map(([, code]) => code)).toEqual(errorCodes);
    for (const [, code, retry, text] of rows) {
      const { remedy, retryable } = new MangroveError(code as ErrorCode);
      expect({ code, retry, remedy: text }).toEqual({ code, retry: retryable ? 'yes' : 'no', remedy });
    }
  });

  test('lists every error code in the grammar, with its number on the wire', () => {
    const [, section = ''] = read('packages/protocol/src/wire/GRAMMAR.md').split('\n## Codes\n');
    const listed = [...section.matchAll(/(\d+) `([A-Z_]+)`(?: ·|$)/gm)].map(([, number, code]) => [
      code,
      Number(number),
    ]);
    expect(listed).toEqual(errorCodes.map((code) => [code, errorCodeToWire(code)]));
  });
});
