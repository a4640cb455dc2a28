// The clients of one run, in a process of their own: what it is asked for comes as messages, and each has one answer.
import { Crowd } from './crowd.mjs';

const crowd = new Crowd();

process.on('message', async ({ what, ...asked }) => {
  try {
    process.send({ answer: (await crowd[what](asked)) ?? {} });
  } catch (error) {
    process.send({ error: String(error?.stack ?? error) });
  }
});
process.on('disconnect', () => process.exit(0));
