import { describeConvergence } from './convergence.js';

describeConvergence(1);
