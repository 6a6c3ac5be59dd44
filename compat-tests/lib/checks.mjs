// Checks that a suite prints as it goes, a line each, and their count at the end.

export class Checks {
  passed = 0;
  failed = 0;

  /** Prints and counts one check. @returns {boolean} `ok`. */
  check(what, ok, detail = "") {
    if (ok) this.passed++;
    else this.failed++;
    console.log(`${ok ? "ok  " : "FAIL"} ${what}${detail === "" ? "" : `: ${detail}`}`);
    return ok;
  }

  /** Runs something that throws where it fails; a title for whatever it throws. */
  async trying(what, run) {
    try {
      await run();
    } catch (error) {
      this.check(what, false, error.message);
    }
  }

  /** Prints the count that scripts/compat.mjs adds up, and returns the exit status. */
  end(suite) {
    console.log(`${suite}: ${this.passed} passed, ${this.failed} failed`);
    return this.failed === 0 && this.passed > 0 ? 0 : 1;
  }
}
