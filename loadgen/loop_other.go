//go:build !linux

package loadgen

import "errors"

// hasLoop says that requests are carried by an event loop, as they can be on Linux.
const hasLoop = false

func newLoop(*Attack, Spec, *inbox) (courier, error) { return nil, errors.ErrUnsupported }
