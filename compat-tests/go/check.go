package main

import (
	"fmt"
	"reflect"
)

// A mismatch ends a scenario; its text becomes the cell's detail.
type mismatch string

func fail(format string, args ...any) {
	panic(mismatch(fmt.Sprintf(format, args...)))
}

func eq(want, got any, what string) {
	if !reflect.DeepEqual(want, got) {
		fail("%s: wanted %v, got %v", what, want, got)
	}
}

func that(holds bool, format string, args ...any) {
	if !holds {
		fail(format, args...)
	}
}

func between(low, high, got int64, what string) {
	if got < low || got > high {
		fail("%s: wanted %d..%d, got %d", what, low, high, got)
	}
}

func must(err error, what string) {
	if err != nil {
		fail("%s: %v", what, err)
	}
}
