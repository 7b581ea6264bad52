/**
 * Counts tests for continuous integration: writes `<passed> <failed>` to the file that TEST_COUNTS names, before and after each
 * test file, so that the counts are there and true even when the run is ended from outside; below it, a line each, the test
 * files that are being run: those that a run stood still at. A test file that cannot be loaded, and an error outside any test,
 * count as one failed each.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

export default class CountReporter implements Reporter {
  #passed = 0;
  #failed = 0;
  readonly #running = new Set<string>();

  onTestModuleQueued({ relativeModuleId }: TestModule): void {
    this.#running.add(relativeModuleId);
    this.#write();
  }

  onTestCaseResult(test: TestCase): void {
    const { state } = test.result();
    if (state === 'passed') this.#passed++;
    else if (state === 'failed') this.#failed++;
  }

  onTestModuleEnd(module: TestModule): void {
    this.#failed += module.errors().length;
    this.#running.delete(module.relativeModuleId);
    this.#write();
  }

  onTestRunEnd(_modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.#failed += unhandledErrors.length;
    this.#write();
  }

  #write(): void {
    const file = process.env['TEST_COUNTS'];
    if (file !== undefined)
      writeFileSync(file, [`${this.#passed} ${this.#failed}`, ...this.#running, ''].join('\n'));
  }
}
