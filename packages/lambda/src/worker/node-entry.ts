import { type MessagePort, parentPort } from 'node:worker_threads';
import { readEngine } from '../engines/read-engine.js';
import { serveLambda } from './serve.js';

const port = parentPort as MessagePort;
port.on(
  'message',
  serveLambda((message) => port.postMessage(message), readEngine),
);
