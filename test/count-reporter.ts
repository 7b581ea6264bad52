/**
 * Counts tests for continuous integration: writes `<passed> <failed>` to the file that TEST_COUNTS names, after each
 * test file, so that the counts are there and true even when the run is ended from outside. A test file that cannot
 * be loaded, and an error outside any test, count as one failed each.
 */
import { writeFileSync } from 'node:fs';
import type { Reporter, TestCase, TestModule } from 'vitest/node';

export default class CountReporter implements Reporter {
  #passed = 0;
  #failed = 0;

  onTestCaseResult(test: TestCase): void {
    const { state } = test.result();
    if (state === 'passed') this.#passed++;
    else if (state === 'failed') this.#failed++;
  }

  onTestModuleEnd(module: TestModule): void {
    this.#failed += module.errors().length;
    this.#write();
  }

  onTestRunEnd(_modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    this.#failed += unhandledErrors.length;
    this.#write();
  }

  #write(): void {
    const file = process.env['TEST_COUNTS'];
    if (file !== undefined) writeFileSync(file, `${this.#passed} ${this.#failed}\n`);
  }
}
