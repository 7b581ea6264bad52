/** All commands, in the order in which help lists them: try it, run it, look at it, feed it, check it. */
import type { Command } from 'commander';
import { checkCommand } from './check.js';
import { completionCommand } from './completion.js';
import { registerConfig } from './config.js';
import { deadCommand } from './dead.js';
import { demoCommand } from './demo.js';
import { getCommand } from './get.js';
import { inspectCommand } from './inspect.js';
import { replayCommand } from './replay.js';
import { simulateCommand } from './simulate.js';
import { startCommand } from './start.js';
import { statusCommand } from './status.js';
import { topCommand } from './top.js';
import { versionCommand } from './version.js';
import { watchCommand } from './watch.js';

export const COMMANDS: readonly ((program: Command) => void)[] = [
  demoCommand,
  startCommand,
  statusCommand,
  topCommand,
  watchCommand,
  getCommand,
  inspectCommand,
  deadCommand,
  replayCommand,
  simulateCommand,
  checkCommand,
  registerConfig,
  versionCommand,
  completionCommand,
];
