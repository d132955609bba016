// Package safety makes damage undoable. Whoever damages something first writes
// down, on disk, how to undo it; then does it; and gets the undo back. The same
// words undo it in this process, in another one after a crash (`cutover clean`),
// and in a drill.
package safety
