package skylark.compat;

import java.util.Objects;

/** The assertions of the scenarios. A failed one ends the scenario and its text becomes the cell's detail, so it names both values. */
final class Check {
    static final class Mismatch extends RuntimeException {
        Mismatch(String message) {
            super(message);
        }
    }

    interface Action {
        void run() throws Exception;
    }

    private Check() {
    }

    static void eq(Object want, Object got, String what) {
        if (!Objects.equals(want, got)) {
            throw new Mismatch(what + ": wanted " + want + ", got " + got);
        }
    }

    static void that(boolean holds, String what) {
        if (!holds) {
            throw new Mismatch(what);
        }
    }

    static void between(long low, long high, long got, String what) {
        if (got < low || got > high) {
            throw new Mismatch(what + ": wanted " + low + ".." + high + ", got " + got);
        }
    }

    /** Runs an action that must throw, and hands back what it threw. */
    static Exception refused(String what, Action action) {
        try {
            action.run();
        } catch (Exception e) {
            return e;
        }
        throw new Mismatch(what + " was not refused");
    }
}
