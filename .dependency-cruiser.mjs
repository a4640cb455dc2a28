// Who may import whom. A package that stands for a platform (a store, a socket, an editor library) is touched by one
// file or one folder, so that it can be replaced there and everything else can be tested without it.

const source = (name) => `^packages/${name}/src/`;
const isTest = '[.]test[.]ts$';
const npm = (name) => `(^|/)node_modules/${name}/`;

const onlyIn = (dependency, allowed, modules = [dependency]) => ({
  name: `${dependency}-in-one-place`,
  comment: `${dependency} is imported only in ${allowed}`,
  severity: 'error',
  from: { path: '^packages/[^/]+/src/', pathNot: [isTest, ...[allowed].flat().map((path) => `^${path}`)] },
  to: { path: modules.map(npm) },
});

export default {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Modules that need each other are one module, or want a third one that both can import.',
      severity: 'error',
      from: { path: '^packages/' },
      to: { circular: true },
    },
    {
      name: 'resolvable',
      comment: 'An import that resolves to nothing, or to a package that is not declared.',
      severity: 'error',
      from: { path: '^packages/' },
      to: { couldNotResolve: true },
    },
    {
      name: 'protocol-stands-alone',
      comment: 'The protocol is pure: it imports nothing but lib0, no platform and no other package.',
      severity: 'error',
      from: { path: source('protocol'), pathNot: isTest },
      to: { pathNot: [source('protocol'), npm('lib0')] },
    },
    {
      name: 'client-knows-no-relay',
      comment: 'Client and relay meet in the protocol only.',
      severity: 'error',
      from: { path: source('client'), pathNot: isTest },
      to: { path: ['^packages/relay/', npm('@mangrove/relay')] },
    },
    {
      name: 'relay-knows-no-client',
      comment: 'Client and relay meet in the protocol only.',
      severity: 'error',
      from: { path: source('relay'), pathNot: isTest },
      to: { path: ['^packages/client/', npm('@mangrove/client')] },
    },
    {
      name: 'lambda-knows-the-protocol-only',
      comment: 'A sandbox is used by others and uses none of them.',
      severity: 'error',
      from: { path: source('lambda'), pathNot: isTest },
      to: { path: ['^packages/(client|relay)/', npm('@mangrove/(client|relay)')] },
    },
    {
      name: 'through-the-door',
      comment:
        "Another package is imported by its name, not by a path into its sources: that is what users' code does.",
      severity: 'error',
      from: { path: '^packages/([^/]+)/src/', pathNot: isTest },
      to: { path: '^packages/[^/]+/src/', pathNot: '^packages/$1/src/' },
    },
    {
      name: 'production-knows-no-tests',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: isTest },
      to: { path: ['^test/', isTest] },
    },
    {
      name: 'no-development-dependency',
      comment: 'What a published file imports has to be a dependency of its package.',
      severity: 'error',
      from: { path: '^packages/[^/]+/src/', pathNot: isTest },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    onlyIn('idb', 'packages/client/src/stores/idb-open.ts'),
    onlyIn('comlink', 'packages/client/src/rpc/'),
    onlyIn('partysocket', 'packages/client/src/transports/socket-transport.ts'),
    onlyIn('yjs', ['packages/client/src/documents/', 'packages/client/src/awareness/'], ['yjs', 'y-protocols']),
    onlyIn('fflate', 'packages/client/src/deflate.ts'),
    onlyIn('lmdb', 'packages/relay/src/storage/lmdb-store.ts'),
    onlyIn('jose', 'packages/relay/src/auth.ts'),
    onlyIn('pino', 'packages/relay/src/runtimes/node-log.ts'),
    onlyIn('prom-client', 'packages/relay/src/runtimes/node-metrics.ts'),
    onlyIn('nats', 'packages/relay/src/fleet/nats/', ['@nats-io/[^/]+']),
    onlyIn('pg', 'packages/relay/src/fleet/postgres/', ['pg', '@types/pg']),
    onlyIn('ws', 'packages/relay/src/runtimes/', ['ws', '@types/ws']),
  ],
  options: {
    doNotFollow: { path: ['node_modules', '^packages/[^/]+/dist/'] },
    // Type imports count: a type of a library in a signature ties its callers to that library.
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'default', 'types'],
    },
  },
};
